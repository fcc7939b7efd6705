"""One evaluation: the images, the methods, the measures; each part one function."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from magenet_batch.degradation import KINDS, DegradationParams, preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.evaluation.baselines import Method
from magenet_batch.evaluation.binary import binary_scores
from magenet_batch.evaluation.compare import compare
from magenet_batch.evaluation.images import (
    EvaluationImage,
    list_images,
    load_image,
    load_mask,
    masks_of,
)
from magenet_batch.evaluation.lesions import lesion_contrast
from magenet_batch.evaluation.segmenter import Segmenter
from magenet_batch.evaluation.table import Table
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.quality.fidelity import measure_fidelity
from magenet_batch.quality.measures import measure_quality
from magenet_batch.randomness import generator

Say = Callable[[str], None]


@dataclass(frozen=True)
class Recorded:
    """A degradation that was applied, for replay.

    Attributes:
        part: of the evaluation.
        preset: that it was drawn from.
        image: file name.
        record: the parameters, as `DegradationParams.from_record` reads them.
    """

    part: str
    preset: str
    image: str
    record: str


class Evaluation:
    """Measures methods on images and keeps every number.

    Args:
        methods: by name; `identity` among them.
        seed: of all degradations.
        images: maximum per folder; 0 for all.
        size: longest side of synthetic pairs, pixels.
        say: is told what is being done.
    """

    def __init__(
        self, methods: dict[str, Method], *, seed: int, images: int, size: int, say: Say
    ) -> None:
        self.methods = methods
        self.seed = seed
        self.images = images
        self.size = size
        self.say = say
        self.table = Table()
        self.recorded: list[Recorded] = []
        self.seconds: dict[str, list[float]] = {name: [] for name in methods}

    def synthetic(self, folder: Path, presets: Sequence[str]) -> None:
        """Full-reference measures on degraded copies of clean images, and on the clean ones."""
        for name in expanded(presets):
            images = self._load(folder, size=self.size)
            self.say(f"synthetic pairs: {name}, {len(images)} images")
            degraded = [
                self.degraded(image, name, i, "synthetic") for i, image in enumerate(images)
            ]
            severities = thirds([compare(d, image)["psnr"] for d, image in zip(
                degraded, images, strict=True)])  # fmt: skip
            for image, seen, severity in zip(images, degraded, severities, strict=True):
                for method in self.methods:
                    values = compare(self._run(method, seen, image), image)
                    self.table.add(
                        values, part="synthetic", preset=name, image=image.name, method=method,
                        severity="" if name == "clean" else severity,
                    )  # fmt: skip

    def vessels(self, folder: Path, presets: Sequence[str]) -> None:
        """What a segmenter finds in clean, degraded and enhanced images, against drawn vessels."""
        segmenter = Segmenter.load()
        images = [
            (image, load_mask(next(iter(masks.values())), shape=image.pixels.shape[:2]))
            for path in list_images(folder)
            if (masks := dict(masks_of(path)))
            and (image := load_image(path, size=self.size)) is not None
        ][: self.images or None]

        def scores(
            pixels: np.ndarray, image: EvaluationImage, drawn: np.ndarray
        ) -> dict[str, float]:
            found = segmenter.segment(pixels, image.fov)[image.mask]
            return binary_scores(found, drawn[image.mask], threshold=segmenter.threshold)

        for name in expanded(presets):
            self.say(f"vessels: {name}, {len(images)} images")
            for index, (image, drawn) in enumerate(images):
                where = {"part": "vessels", "preset": name, "image": image.name}
                seen = self.degraded(image, name, index, "vessels")
                self.table.add(scores(image.pixels, image, drawn), method="clean ceiling", **where)
                for method in self.methods:
                    enhanced = self._run(method, seen, image)
                    self.table.add(scores(enhanced, image, drawn), method=method, **where)

    def lesions(self, folder: Path, presets: Sequence[str]) -> None:
        """Contrast of drawn lesions after enhancing, relative to that in the clean image."""
        paths = [path for path in list_images(folder, limit=self.images) if any(masks_of(path))]
        for name in expanded(presets):
            self.say(f"lesions: {name}, {len(paths)} images")
            for index, path in enumerate(paths):
                image = load_image(path, size=2 * self.size)  # lesions are small
                if image is None:
                    continue
                seen = self.degraded(image, name, index, "lesions")
                shape = image.pixels.shape[:2]
                drawn = {kind: load_mask(m, shape=shape) for kind, m in masks_of(path)}
                everything = np.any(list(drawn.values()), axis=0)
                for method in self.methods:
                    enhanced = self._run(method, seen, image)
                    self.table.add(
                        _kept(enhanced, image, drawn, everything), part="lesions", preset=name,
                        image=image.name, method=method,
                    )  # fmt: skip

    def real(self, folder: Path, enhancer: Enhancer) -> None:
        """Quality without a reference, and fidelity, on real images."""
        images = self._load(folder, size=2 * self.size)
        self.say(f"real images: {folder.name}, {len(images)} images")
        for image in images:
            before = enhancer.vessels(image.pixels, image.fov)
            for method in self.methods:
                enhanced = self._run(method, image.pixels, image)
                values = measure_quality(enhanced, image.fov)
                after = enhancer.vessels(enhanced, image.fov)
                if before is not None and after is not None:
                    values |= measure_fidelity(
                        image.pixels, enhanced, image.fov, vessels_before=before,
                        vessels_after=after,
                    )  # fmt: skip
                self.table.add(values, part="real", preset=folder.name, image=image.name,
                               method=method)  # fmt: skip

    def degraded(self, image: EvaluationImage, name: str, index: int, part: str) -> np.ndarray:
        """The copy of an image that methods are given; the parameters are recorded."""
        params = DegradationParams()
        if name != "clean":
            params = sample_degradation(generator(self.seed, f"{part} {name}", index), preset(name))
        self.recorded.append(Recorded(part, name, image.name, params.to_record()))
        return image.pixels if name == "clean" else degrade_pixels(
            image.pixels, params, mask=image.mask
        )  # fmt: skip

    def _load(self, folder: Path, *, size: int) -> list[EvaluationImage]:
        found = [load_image(path, size=size) for path in list_images(folder, limit=self.images)]
        return [image for image in found if image is not None]

    def _run(self, method: str, seen: np.ndarray, image: EvaluationImage) -> np.ndarray:
        before = time.perf_counter()
        enhanced = self.methods[method](seen, image.fov)
        megapixels = seen.shape[0] * seen.shape[1] / 1e6
        self.seconds[method].append((time.perf_counter() - before) / megapixels)
        return enhanced


def expanded(presets: Sequence[str]) -> list[str]:
    """Preset names, with `kinds` replaced by the evaluation preset of each kind alone."""
    names: list[str] = []
    for name in presets:
        names += [f"evaluation:{kind}" for kind in KINDS] if name == "kinds" else [name]
    return list(dict.fromkeys(names))


def thirds(decibels: Sequence[float]) -> list[str]:
    """Severity of each image among the others: the third with the least PSNR is `severe`."""
    order = np.argsort(np.argsort(decibels, kind="stable"), kind="stable")
    words = ("severe", "middle", "light")
    return [words[int(3 * rank / max(len(decibels), 1))] for rank in order]


def _kept(
    enhanced: np.ndarray,
    image: EvaluationImage,
    drawn: dict[str, np.ndarray],
    everything: np.ndarray,
) -> dict[str, float | None]:
    """Contrast relative to the clean image, by kind of lesion and over all kinds."""
    kept: dict[str, float | None] = {}
    for kind, lesion in drawn.items():
        given = {"others": everything, "fov_mask": image.mask}
        clean = lesion_contrast(image.pixels, lesion, **given)
        now = lesion_contrast(enhanced, lesion, **given)
        if clean is not None and now is not None and abs(clean) > 0.02:
            kept[f"contrast_{kind}"] = now / clean
    ratios = [value for value in kept.values() if value is not None]
    return kept | {"contrast": float(np.mean(ratios)) if ratios else None}
