"""Training pictures of the grader and their features. Used by fit_grader.py.

Random choices depend only on an image's folder and number, so that any order and any number of
processes make the same pictures.
"""

from __future__ import annotations

import csv
import sys
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.degradation.params import DegradationParams
from magenet_batch.degradation.sample import Preset
from magenet_batch.degradation.severity import severity
from magenet_batch.evaluation.baselines import clahe, graham, unsharp
from magenet_batch.evaluation.images import EvaluationImage, list_images, load_image
from magenet_batch.imaging.fov import find_fov
from magenet_batch.quality.measures import MeasuringCopy, measure_scaled
from magenet_batch.quality.visibility import FEATURES, describe

LABELS = Path(__file__).parent / "grader_labels.csv"
BROAD = Preset(preset("evaluation").probability, severity=(0.0, 1.0), single=0.3)
ALONE = replace(BROAD, single=1.0)
SHARP = {
    "idrid/train_clean": 1, "grape/clean": 2, "hrf/train-vessels": 2, "fives/train-vessels": 2,
    "rfmid/clean": 2, "skimage/clean": 2,
}  # fmt: skip
"""Folder of sharp photographs -> degraded copies of each; rarer cameras have more."""
REAL = ("idrid/real_degraded", "hygd/degraded", "hygd/mixed", "fives/degraded", "rfmid/degraded")
"""Folders whose photographs were all graded visually."""
FIRST = {"idrid/train_clean": 120, "grape/clean": 80}
"""Photographs of the large folders that come as early as those of the small folders."""
SIZES = (768, 560, 560)
COPIES, HOPELESS_COPIES = 3, 2
AGAIN = {"idrid/train_clean": 130, "grape/clean": 40, "hrf/train-vessels": 15}
"""Photographs of a folder that are degraded once more, at AGAIN_SIZE, each stored in both ways."""
AGAIN_SIZE, AGAIN_COPIES = 1024, 2
LOOKED_AT = {"good": 0.12, "usable": 0.45, "reject": 0.85}
"""Visual grade -> the severity that represents it."""
SHARP_ONE, DEGRADED, FILTERED, HOPELESS, REAL_ONE, RECOLOURED = range(6)


class Job(NamedTuple):
    """One photograph; `again` is true the second time that it is used."""

    folder: str
    path: Path
    number: int
    again: bool = False


def labels_by_eye() -> dict[str, str]:
    """File, from the data's folder -> `good`, `usable`, `reject`, or `unsure`: not used."""
    with LABELS.open(encoding="utf-8") as file:
        return {row["file"]: row["grade"] for row in csv.DictReader(file)}


def jobs(data: Path, *, sharp: int = 0) -> list[Job]:
    """List all photographs: real ones first, then sharp ones of all folders in turn, some twice.

    Args:
        data: the folder of the photographs.
        sharp: maximum number of sharp ones that come first; 0 for all.
    """
    real = [Job(f, p, i) for f in REAL for i, p in enumerate(list_images(data / f))]
    turns = []
    for folder in SHARP:
        paths = list_images(data / folder)
        first = min(len(paths), FIRST.get(folder, len(paths)))
        order = np.random.default_rng(0).permutation(len(paths))
        turns += [((k + 0.5) / first, Job(folder, paths[i], int(i))) for k, i in enumerate(order)]
    turns.sort(key=lambda turn: turn[0])
    twice = []
    for folder, most in AGAIN.items():
        paths = list_images(data / folder)
        for k, i in enumerate(np.random.default_rng(1).permutation(len(paths))[:most]):
            twice.append(((k + 0.5) / most, Job(folder, paths[i], int(i), again=True)))
    twice.sort(key=lambda turn: turn[0])
    return real + [job for _, job in turns][: sharp or None] + [job for _, job in twice]


def degraded(
    image: EvaluationImage, rng: np.random.Generator, how: Preset = BROAD
) -> tuple[np.ndarray, float]:
    """Make a degraded copy and compute its severity."""
    params = sample_degradation(rng, how)
    return degrade_pixels(image.pixels, params, mask=image.mask), severity(params)


def hopeless(image: EvaluationImage, rng: np.random.Generator) -> np.ndarray:
    """Make a hopeless picture: out of focus, dark (all over or one side), washed out or empty."""
    kind = rng.integers(5)
    inside = image.mask[..., None]
    if kind == 0:
        params = DegradationParams(blur_sigma=float(rng.uniform(0.015, 0.05)))
    elif kind == 1:
        params = DegradationParams(
            brightness=float(rng.uniform(0.08, 0.3)), noise_read=float(rng.uniform(0, 0.03))
        )
    elif kind == 2:
        params = DegradationParams(haze_strength=float(rng.uniform(0.9, 0.99)), haze_spread=3.0)
    elif kind == 3:
        params = DegradationParams(
            brightness=float(rng.uniform(0.25, 0.55)), blur_sigma=float(rng.uniform(0.005, 0.015)),
            gradient_angle=float(rng.uniform(0, 2 * np.pi)),
            gradient_strength=float(rng.uniform(0.7, 0.95)),
        )  # fmt: skip
    else:
        level = rng.uniform(0.1, 0.95) * (1 if rng.random() < 0.5 else rng.uniform(0.3, 1, 3))
        plain = level * 255 + rng.normal(0, rng.uniform(0, 4), image.pixels.shape)
        return np.where(inside, plain, image.pixels).clip(0, 255).astype(np.uint8)
    return degrade_pixels(image.pixels, params, mask=image.mask)


def recoloured(image: EvaluationImage, rng: np.random.Generator) -> EvaluationImage:
    """Imitate another camera with gamma, saturation and gains of channels. The result is sharp."""
    x = (image.pixels.astype(np.float32) / 255) ** np.float32(np.exp(rng.normal(0, 0.2)))
    grey = (x @ np.float32([0.3, 0.59, 0.11]))[..., None]
    x = grey + (x - grey) * rng.uniform(0.4, 1.25)
    x = x * np.exp(rng.normal(0, 0.18, 3)).astype(np.float32) * np.exp(rng.normal(0, 0.1))
    shown = np.where(image.mask[..., None], (x * 255).clip(0, 255), image.pixels)
    return replace(image, pixels=shown.astype(np.uint8))


def restored(pixels: np.ndarray, how: str) -> np.ndarray:
    """Store a photograph in another way, which must not change its grade."""
    if how == "half":
        half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        return cv2.resize(pixels, half, interpolation=cv2.INTER_AREA)
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def features_of(pixels: np.ndarray) -> np.ndarray | None:
    """Compute the features; None without a field of view."""
    fov = find_fov(pixels)
    if fov is None:
        return None
    copy = MeasuringCopy.of(pixels, fov)
    return describe(copy, measure_scaled(copy.rgb, copy.mask))


@dataclass
class Samples:
    """Features of pictures and, if computed, of the same pictures stored in another way.

    `target` is the severity, NaN of real photographs: their grade is in `grader_labels.csv`.
    """

    x: list[np.ndarray] = field(default_factory=list)
    y: list[np.ndarray] = field(default_factory=list)
    target: list[float] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    path: list[str] = field(default_factory=list)

    def add(
        self, pixels: np.ndarray, target: float, kind: int, *, path: str, stored: str = ""
    ) -> None:
        """Describe a picture and, where `stored` says how, its copy."""
        x = features_of(pixels)
        if x is None:
            return
        y = features_of(restored(pixels, stored)) if stored else None
        self.x.append(x)
        self.y.append(np.full(len(FEATURES), np.nan) if y is None else y)
        self.target.append(target)
        self.kind.append(kind)
        self.path.append(path)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays, for numpy.savez."""
        return {
            "x": np.array(self.x), "y": np.array(self.y), "target": np.array(self.target),
            "kind": np.array(self.kind), "path": np.array(self.path),
        }  # fmt: skip


def collect(wanted: list[Job]) -> dict[str, np.ndarray]:
    """Collect the samples of these photographs."""
    samples = Samples()
    for count, job in enumerate(wanted):
        if count % 25 == 0:
            print(f"{count} of {len(wanted)}", file=sys.stderr, flush=True)
        rng = np.random.default_rng([7 + job.again, zlib.crc32(job.folder.encode()), job.number])
        size = AGAIN_SIZE if job.again else int(rng.choice(SIZES))
        image = load_image(job.path, size=size)
        if image is not None:
            (add_again if job.again else add_photograph)(samples, image, rng, job=job)
    return samples.arrays()


def add_photograph(
    samples: Samples, image: EvaluationImage, rng: np.random.Generator, *, job: Job
) -> None:
    """Add a real photograph as it is; a sharp one also degraded, filtered and made unusable."""
    path, stored = f"{job.folder}/{job.path.name}", ("half", "jpeg")[job.number % 2]
    if job.folder in REAL:
        samples.add(image.pixels, np.nan, REAL_ONE, path=path, stored=stored)
        return
    samples.add(image.pixels, 0.0, SHARP_ONE, path=path, stored=stored)
    for again in range(SHARP[job.folder]):
        once = "" if again else stored
        for copy in range(COPIES):
            base = recoloured(image, rng) if copy == 1 or again else image
            if copy == 1:
                samples.add(base.pixels, 0.0, RECOLOURED, path=path, stored=once)
            how = ALONE if copy == 0 and job.number % 2 else BROAD
            pixels, severe = degraded(base, rng, how)
            samples.add(pixels, severe, DEGRADED, path=path, stored=once if copy == 0 else "")
            if copy == 2:  # filters make nothing better: the severity is that of what was filtered
                method = (clahe, unsharp, graham)[job.number % 3]
                worst = 1.0 if method is graham else severe  # colours and light are gone
                samples.add(method(pixels, image.fov), worst, FILTERED, path=path)
        for _ in range(HOPELESS_COPIES):
            samples.add(hopeless(image, rng), 1.0, HOPELESS, path=path)


def add_again(
    samples: Samples, image: EvaluationImage, rng: np.random.Generator, *, job: Job
) -> None:
    """Add a sharp photograph and its degraded copies, each stored in both ways."""
    path = f"{job.folder}/{job.path.name}"
    pictures = [(image.pixels, 0.0, SHARP_ONE)]
    for _ in range(AGAIN_COPIES):
        pixels, severe = degraded(image, rng)
        pictures.append((pixels, severe, DEGRADED))
    for pixels, severe, kind in pictures:
        for stored in ("half", "jpeg"):
            samples.add(pixels, severe, kind, path=path, stored=stored)
