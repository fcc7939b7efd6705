"""Best, median and worst images of a preset, to be looked at."""

from __future__ import annotations

from pathlib import Path

from magenet_batch.evaluation.images import list_images, load_image
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
    places = {"best": 0, "median": len(ranked) // 2, "worst": len(ranked) - 1}
    found = [load_image(p, size=evaluation.size)
             for p in list_images(folder, limit=evaluation.images)]  # fmt: skip
    images = [image for image in found if image is not None]
    index_of = {image.name: index for index, image in enumerate(images)}
    rivals = [name for name in evaluation.methods if name not in ("identity", OURS)][:_RIVALS]
    cases = []
    for word, place in places.items():
        name = ranked[place]
        image = images[index_of[name]]
        seen = evaluation.degraded(image, preset, index_of[name], "synthetic")
        pictures = [("degraded", seen)]
        pictures += [
            (method, evaluation.methods[method](seen, image.fov)) for method in [*rivals, OURS]
        ]
        title = f"{preset}, {word}: {name}, {before[name]:.2f} to {after[name]:.2f} dB"
        cases.append(Case(title, (*pictures, ("clean", image.pixels))))
    return cases
