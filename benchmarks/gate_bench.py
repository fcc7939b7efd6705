"""The measurements behind the gates: every image is enhanced once, every number kept by image.

Rows of a group, such as the pairs of one folder and preset, are measured when a gate first requests
them, and cached. Degradations are those of `magenet evaluate`: the same loading, presets, seeds and
sizes (512 px for pairs, 1024 px for lesions and real photographs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gate_cost import Cost, costs, threads

from magenet_batch.errors import UsageError
from magenet_batch.evaluation.baselines import BASELINES
from magenet_batch.evaluation.binary import roc_auc
from magenet_batch.evaluation.compare import compare_aligned
from magenet_batch.evaluation.contrast import (
    background_grain,
    band_deviation,
    line_contrast,
    lines_of,
    vessel_contrast,
)
from magenet_batch.evaluation.hue import hue_shift
from magenet_batch.evaluation.images import (
    EvaluationImage,
    list_images,
    load_image,
    load_mask,
    masks_of,
)
from magenet_batch.evaluation.run import Evaluation
from magenet_batch.evaluation.segmenter import Segmenter
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.imaging.read import read_image
from magenet_batch.inference.enhancer import Enhancement, Enhancer
from magenet_batch.jobs.policy import Policy
from magenet_batch.jobs.work.deciding import decide
from magenet_batch.jobs.work.measuring import EnhancementLike, measure_before
from magenet_batch.models.memory import keep_freed_memory
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.macula import find_macula, macula_depth
from magenet_batch.quality.recognition import recognise
from magenet_batch.settings import Look

SIZE, LARGE = 512, 1024  # longest side of pairs, and of lesions and real photographs
SEED = 1
LEAST_DEPTH = 0.08  # depth from which a macula is clear enough to be measured
LEAST_CONTRAST = 0.002  # contrast of lines below which there is nothing to compare
Row = dict[str, Any]
Rows = dict[str, Row]
Say = Callable[[str], None]


class Restorer:
    """What is measured: weights by name or file, or a classical method by name."""

    def __init__(self, weights: str, *, threads: int, look: Look = "natural") -> None:
        self.name = weights
        self.hash: str | None = None
        self._method = BASELINES.get(weights)
        self._enhancer: Enhancer | None = None
        if self._method is None:
            self._enhancer = Enhancer.load(weights, device="cpu", threads=threads, look=look)
            self.hash = self._enhancer.weights_hash

    def enhance(self, pixels: np.ndarray, fov: FieldOfView, *, spots: bool = True) -> Enhancement:
        """Enhanced pixels, with vessel maps if a network provides them; perhaps with its dust."""
        if self._enhancer is not None:
            return self._enhancer.enhance(pixels, fov, spots=spots)
        assert self._method is not None
        return Enhancement(self._method(pixels, fov), None, None)

    def vessels(self, pixels: np.ndarray, fov: FieldOfView) -> np.ndarray | None:
        """Probability of vessel, if a network provides it."""
        return None if self._enhancer is None else self._enhancer.vessels(pixels, fov)

    def __call__(self, pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
        return self.enhance(pixels, fov).pixels


class Bench:
    """Measures groups of images and keeps every row.

    Args:
        restorer: what is measured.
        data: the folder of photographs.
        images: maximum number of images per folder, evenly spaced; 0 for all.
        policy: policy that decides what is delivered.
        reference: reference for the cost; None for none.
        cost_threads: number of threads while the cost is measured.
        say: prints progress.
    """

    def __init__(
        self,
        restorer: Restorer,
        data: Path,
        *,
        images: int,
        policy: Policy,
        reference: Restorer | None,
        cost_threads: int,
        say: Say,
    ) -> None:
        self.restorer, self.data, self.images = restorer, data, images
        self.reference, self._cost_threads = reference, cost_threads
        self.groups: dict[str, Rows] = {}
        self._policy, self._say = policy, say
        self._segmenter = Segmenter.load()
        self._loaded: dict[str, list[EvaluationImage]] = {}
        methods = {"identity": BASELINES["identity"], "ours": restorer}
        self._evaluation = Evaluation(methods, seed=SEED, images=images, size=SIZE, say=say)

    def pairs(self, folder: str, preset: str) -> Rows:
        """PSNR and SSIM of degraded copies, raw and aligned, ours and doing nothing.

        With the preset `clean`, also colour and macula of the result for clean images.
        """
        return self._group(f"pairs {folder} {preset}", lambda: self._pairs(folder, preset))

    def vessels(self, folder: str, preset: str) -> Rows:
        """AUC and IoU of an independent segmenter: clean, doing nothing, ours."""
        where = {"part": "vessels", "preset": preset}
        names = {"clean": "clean ceiling", "nothing": "identity", "ours": "ours"}
        return self._evaluated(
            f"vessels {folder} {preset}", where, names, ("auc", "iou"),
            lambda: self._evaluation.vessels(self.data / folder, [preset]),
        )  # fmt: skip

    def lesions(self, folder: str, preset: str) -> Rows:
        """Contrast of lesions to that in the clean image: doing nothing, ours; and by kind."""
        kinds = ("contrast", *(f"contrast_{kind}" for kind in ("MA", "HE", "EX", "SE")))
        return self._evaluated(
            f"lesions {folder} {preset}", {"part": "lesions", "preset": preset},
            {"nothing": "identity", "ours": "ours"}, kinds,
            lambda: self._evaluation.lesions(self.data / folder, [preset]),
        )  # fmt: skip

    def undegraded(self, folder: str) -> Rows:
        """Contrast, grain and AUC of drawn vessels in real photographs, before and after."""
        return self._group(f"undegraded {folder}", lambda: self._undegraded(folder))

    def bad(self, folder: str) -> Rows:
        """Contrast of lines in bad photographs before and after, and whether it is delivered."""
        return self._group(f"bad {folder}", lambda: self._bad(folder))

    def cost(self) -> dict[str, tuple[Cost, Cost | None]]:
        """Cost of our restorer and of the reference, at 512 px and on one original of 12
        megapixels."""
        self._say("cost")
        keep_freed_memory()  # as the workers of a job do
        small = make_phantom(3, size=SIZE).pixels
        large = read_image(list_images(self.data / "archive")[0]).pixels
        found = {}
        for label, pixels, times in (("512 px", small, 11), ("12 megapixels", large, 5)):
            fov = find_fov(pixels)
            assert fov is not None, f"{label}: no field of view"
            with threads(self._cost_threads):
                both = [self.restorer, *([self.reference] if self.reference else [])]
                ours, *reference = costs(both, pixels, fov, times=times)
            found[label] = (ours, reference[0] if reference else None)
        return found

    def _group(self, name: str, measure: Callable[[], Iterator[tuple[str, Row]]]) -> Rows:
        if name not in self.groups:
            self._say(name)
            self.groups[name] = dict(measure())
        return self.groups[name]

    def _images(self, folder: str, *, size: int) -> Iterator[tuple[Path, EvaluationImage]]:
        for path in list_images(self.data / folder, limit=self.images):
            image = load_image(path, size=size)
            if image is None:
                self._say(f"no field of view in {path.name}: left out")
            else:
                yield path, image

    def _small(self, folder: str) -> list[EvaluationImage]:
        if folder not in self._loaded:
            self._loaded[folder] = [image for _, image in self._images(folder, size=SIZE)]
        return self._loaded[folder]

    def _pairs(self, folder: str, preset: str) -> Iterator[tuple[str, Row]]:
        for index, image in enumerate(self._small(folder)):
            seen = self._evaluation.degraded(image, preset, index, "synthetic")
            after = self.restorer(seen, image.fov)
            row, nothing = compare_aligned(after, image), compare_aligned(seen, image)
            row |= {f"nothing_{name}": value for name, value in nothing.items()}
            if preset == "clean":
                row |= {"hue": hue_shift(seen, after, image.fov), **_macula(seen, after, image.fov)}
            yield image.name, row

    def _evaluated(
        self, name: str, where: dict[str, str], methods: dict[str, str],
        measures: tuple[str, ...], run: Callable[[], None],
    ) -> Rows:  # fmt: skip
        """Rows of a part of `Evaluation`."""
        if name not in self.groups:
            run()
            rows: Rows = {}
            for word, method in methods.items():
                for measure in measures:
                    found = self._evaluation.table.values(method=method, measure=measure, **where)
                    for image, value in found.items():
                        rows.setdefault(image, {})[f"{word}_{measure}"] = value
            self.groups[name] = rows
        return self.groups[name]

    def _undegraded(self, folder: str) -> Iterator[tuple[str, Row]]:
        for path, image in self._images(folder, size=LARGE):
            masks = list(masks_of(path))
            if not masks:
                continue
            drawn = load_mask(masks[0][1], shape=image.pixels.shape[:2])
            after = self.restorer(image.pixels, image.fov)
            row: Row = {}
            for when, pixels in (("before", image.pixels), ("after", after)):
                likely = self._segmenter.segment(pixels, image.fov)[image.mask]
                row[f"contrast_{when}"] = vessel_contrast(pixels, drawn, image.fov)
                row[f"grain_{when}"] = background_grain(pixels, drawn, image.fov)
                row[f"auc_{when}"] = roc_auc(likely, drawn[image.mask])
            row["contrast"] = ratio(row["contrast_after"], row["contrast_before"])
            grain = ratio(row["grain_after"], row["grain_before"])
            row["to_noise"] = ratio(row["contrast"], grain)
            row["auc_gain"] = row["auc_after"] - row["auc_before"]
            yield image.name, row

    def _bad(self, folder: str) -> Iterator[tuple[str, Row]]:
        for _, image in self._images(folder, size=LARGE):
            pixels, fov = image.pixels, image.fov
            done, decided = delivery(pixels, fov, restorer=self.restorer, policy=self._policy)
            lines = lines_of(pixels, fov, self._segmenter)
            before, after = (line_contrast(x, lines, fov) for x in (pixels, done.pixels))
            clear = before is not None and before > LEAST_CONTRAST
            row = {
                "lines_before": before, "lines_after": after,
                "lines": ratio(after, before) if clear else None,
                "band": ratio(band_deviation(done.pixels, fov), band_deviation(pixels, fov)),
            }  # fmt: skip
            yield image.name, row | decided


_DECIDING = (
    "grade_before", "good_before", "reject_before", "vessels_seen",
    "grade_after", "good_after", "reject_after", "fidelity", "change", "darkened",
    "vessel_contrast", "area_contrast", "macula_contrast", "new_structure",
)  # fmt: skip
"""Columns of a row on which the policy decides."""


def delivery(
    pixels: np.ndarray, fov: FieldOfView, *, restorer: Restorer, policy: Policy
) -> tuple[EnhancementLike, Row]:
    """What a job makes of an image, and what it measures and decides.

    `kept` says why the original would be delivered. As in a job, there is no fidelity without
    vessel maps, which classical methods do not provide.
    """
    before = measure_before(pixels, fov)
    found = decide(
        pixels, restorer.enhance(pixels, fov), fov, before=before, policy=policy,
        detector=restorer, with_spots=lambda: restorer.enhance(pixels, fov, spots=False),
    )  # fmt: skip
    row = before | found.measured
    kept = recognise(pixels, fov) or policy.before(row) or found.kept
    return found.enhanced, {name: row.get(name) for name in _DECIDING} | {"kept": kept}


def ratio(after: float | None, before: float | None) -> float | None:
    """Ratio of after to before; None if one is missing or there was nothing before."""
    return None if after is None or not before else after / before


def _macula(before: np.ndarray, after: np.ndarray, fov: FieldOfView) -> dict[str, float | None]:
    """Depth of the macula before, and its ratio if it is clear."""
    place = find_macula(before, fov)
    if place is None:
        return {"depth_before": None, "depth": None}
    old, new = (macula_depth(pixels, fov, place) for pixels in (before, after))
    clear = old is not None and old > LEAST_DEPTH
    return {"depth_before": old, "depth": ratio(new, old) if clear else None}


def check_data(data: Path) -> None:
    """Check that the photographs are there.

    Raises:
        UsageError: there is no such folder.
    """
    if not data.is_dir():
        raise UsageError(f"the photographs are not there: {data}; say where with --data")
