"""Images to be looked at: where most was gained, the median, where least was; and real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from magenet_batch.evaluation.images import EvaluationImage, list_images, load_image
from magenet_batch.evaluation.methods import OURS
from magenet_batch.evaluation.page import Case
from magenet_batch.evaluation.run import Evaluation

_RIVALS = 1  # methods shown beside ours


def pick_cases(evaluation: Evaluation, folder: Path, *, preset: str) -> list[Case]:
    """The images of a preset on which our gain in PSNR is largest, median and smallest.

    Their pictures are made once more: the same seed gives the same degradation.

    Args:
        evaluation: after `synthetic`.
        folder: that its clean images came from.
        preset: which degradation.
    """
    where = {"part": "synthetic", "preset": preset, "measure": "psnr"}
    before = evaluation.table.values(method="identity", **where)
    after = evaluation.table.values(method=OURS, **where)
    ranked = sorted(after, key=lambda name: before[name] - after[name])
    if not ranked:
        return []
    found = [load_image(p, size=evaluation.size)
             for p in list_images(folder, limit=evaluation.images)]  # fmt: skip
    images = [image for image in found if image is not None]
    index_of = {image.name: index for index, image in enumerate(images)}
    cases = []
    for word, place in _places(len(ranked), ("Largest gain", "Median", "Smallest gain")):
        name = ranked[place]
        image = images[index_of[name]]
        seen = evaluation.degraded(image, preset, index_of[name], "synthetic")
        gain = after[name] - before[name]
        title = (
            f"{word}: {name} ({preset}), {before[name]:.2f} to {after[name]:.2f} dB ({gain:+.2f})"
        )
        pictures = [("degraded", seen), *_enhanced(evaluation, seen, image)]
        cases.append(Case(title, (*pictures, ("clean", image.pixels))))
    return cases


def pick_real_cases(evaluation: Evaluation, folder: Path) -> list[Case]:
    """Real images on which vessels agree best with the original, as in the median, and least.

    Args:
        evaluation: after `real`.
        folder: of the images.
    """
    where = {"part": "real", "preset": folder.name, "method": OURS}
    agreement = evaluation.table.values(measure="structure_agreement", **where)
    sharpness = evaluation.table.values(measure="sharpness", **where)
    ranked = sorted(sharpness, key=lambda name: (-agreement.get(name, 0.0), name))
    paths = {path.name: path for path in list_images(folder, limit=evaluation.images)}
    cases = []
    for word, place in _places(
        len(ranked), ("Vessels agree best", "Median", "Vessels agree least")
    ):
        image = load_image(paths[ranked[place]], size=2 * evaluation.size)
        if image is None:
            continue
        found = agreement.get(image.name)
        told = "" if found is None else f", agreement of vessels {found:.3f}"
        pictures = [("original", image.pixels), *_enhanced(evaluation, image.pixels, image)]
        cases.append(Case(f"{word}: {image.name} ({folder.name}){told}", tuple(pictures)))
    return cases


def some_cases(evaluation: Evaluation, folder: Path, *, preset: str, part: str) -> list[Case]:
    """A few evenly spaced images of a folder, degraded as they were for its measures.

    Args:
        evaluation: after the part.
        folder: of the images.
        preset: which degradation.
        part: `vessels` or `lesions`.
    """
    paths = list_images(folder, limit=evaluation.images)
    cases = []
    for _, place in _places(len(paths), ("first", "middle", "last")):
        image = load_image(paths[place], size=evaluation.size)
        if image is None:
            continue
        seen = evaluation.degraded(image, preset, place, part)
        pictures = [("degraded", seen), *_enhanced(evaluation, seen, image)]
        cases.append(Case(f"{image.name} ({preset})", (*pictures, ("clean", image.pixels))))
    return cases


def _places(count: int, words: tuple[str, str, str]) -> list[tuple[str, int]]:
    """First, middle and last of a ranking, each place once."""
    found = dict.fromkeys(zip((0, count // 2, count - 1), words, strict=True)) if count else {}
    seen: dict[int, str] = {}
    for place, word in found:
        seen.setdefault(place, word)
    return [(word, place) for place, word in seen.items()]


def _enhanced(
    evaluation: Evaluation, seen: np.ndarray, image: EvaluationImage
) -> list[tuple[str, np.ndarray]]:
    """What the first other method and ours make of an image."""
    rivals = [name for name in evaluation.methods if name not in ("identity", OURS)][:_RIVALS]
    return [(name, evaluation.methods[name](seen, image.fov)) for name in [*rivals, OURS]]
