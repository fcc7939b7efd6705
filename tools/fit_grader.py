"""Fits the quality grader of the package, on synthetic severities and a few real photographs.

    python tools/fit_grader.py [--data ../shared/data] [--features eval/grader.npz]

Trains on idrid/train_clean and hrf/train-vessels (good), copies of both in other colours (good),
degraded copies (by severity), filtered ones, hopeless pictures made of them (reject) and
idrid/real_degraded (usable), many of them stored in another way too. One image in five is held out
for calibration. The features take an hour of one core, the fit a minute. Writes
magenet_batch/quality/shipped/grader.safetensors and tools/results/grader.json. No image of the
folders that studies/assess.py tests on is read.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.numpy import save_file

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.degradation.params import DegradationParams
from magenet_batch.degradation.sample import Preset
from magenet_batch.degradation.severity import GOOD_BELOW, REJECT_FROM, severity
from magenet_batch.evaluation.baselines import clahe, graham, unsharp
from magenet_batch.evaluation.images import EvaluationImage, list_images, load_image
from magenet_batch.imaging.fov import find_fov
from magenet_batch.quality.grade import SHIPPED
from magenet_batch.quality.measures import at_measuring_scale, measure_scaled
from magenet_batch.quality.visibility import FEATURES, describe

RESULTS = Path(__file__).parent / "results"
BROAD = Preset(preset("evaluation").probability, severity=(0.0, 1.0), single=0.3)


def degraded(image: EvaluationImage, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    params = sample_degradation(rng, BROAD)
    return degrade_pixels(image.pixels, params, mask=image.mask), severity(params)


def hopeless(image: EvaluationImage, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, nearly black, washed out, or a disc with nothing in it."""
    kind = rng.integers(4)
    inside = image.mask[..., None]
    if kind == 0:
        params = DegradationParams(blur_sigma=float(rng.uniform(0.015, 0.05)))
    elif kind == 1:
        params = DegradationParams(brightness=float(rng.uniform(0.08, 0.2)), noise_read=0.03)
    elif kind == 2:
        params = DegradationParams(haze_strength=float(rng.uniform(0.9, 0.99)), haze_spread=3.0)
    else:
        level = rng.uniform(0.1, 0.95) * (1 if rng.random() < 0.5 else rng.uniform(0.3, 1, 3))
        plain = level * 255 + rng.normal(0, rng.uniform(0, 4), image.pixels.shape)
        return np.where(inside, plain, image.pixels).clip(0, 255).astype(np.uint8)
    return degrade_pixels(image.pixels, params, mask=image.mask)


def recoloured(image: EvaluationImage, rng: np.random.Generator) -> EvaluationImage:
    """As another camera might show it: gamma, saturation and the channels' gains. Still sharp."""
    x = (image.pixels.astype(np.float32) / 255) ** np.float32(np.exp(rng.normal(0, 0.2)))
    grey = (x @ np.float32([0.3, 0.59, 0.11]))[..., None]
    x = grey + (x - grey) * rng.uniform(0.4, 1.25)
    x = x * np.exp(rng.normal(0, 0.18, 3)).astype(np.float32) * np.exp(rng.normal(0, 0.1))
    shown = np.where(image.mask[..., None], (x * 255).clip(0, 255), image.pixels)
    return replace(image, pixels=shown.astype(np.uint8))


def restored(pixels: np.ndarray, how: str) -> np.ndarray:
    """The same photograph, stored in another way: its grade must not change."""
    if how == "half":
        half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        return cv2.resize(pixels, half, interpolation=cv2.INTER_AREA)
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def features_of(pixels: np.ndarray) -> np.ndarray | None:
    fov = find_fov(pixels)
    if fov is None:
        return None
    rgb, mask = at_measuring_scale(pixels, fov)
    return describe(rgb, mask, measure_scaled(rgb, mask))


@dataclass
class Samples:
    """Features of pictures and, where made, of the same pictures stored in another way.

    `kind` is 0 for what is sharp, 1 for what was degraded, 2 for what was filtered as well, 3 for
    the hopeless and 4 for real photographs that were sorted out; `target` is the severity.
    """

    x: list[np.ndarray] = field(default_factory=list)
    y: list[np.ndarray] = field(default_factory=list)
    target: list[float] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    image: list[int] = field(default_factory=list)
    number: int = 0

    def add(self, pixels: np.ndarray, target: float, kind: int, *, stored: str = "") -> None:
        x = features_of(pixels)
        if x is None:
            return
        y = features_of(restored(pixels, stored)) if stored else None
        self.x.append(x)
        self.y.append(np.full(len(FEATURES), np.nan) if y is None else y)
        self.target.append(target)
        self.kind.append(kind)
        self.image.append(self.number)

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            "x": np.array(self.x), "y": np.array(self.y), "target": np.array(self.target),
            "kind": np.array(self.kind), "image": np.array(self.image),
        }  # fmt: skip


def collect(data: Path) -> dict[str, np.ndarray]:
    """Samples of every image that may be trained on."""
    samples = Samples()
    for name, sharp in (("idrid/train_clean", True), ("hrf/train-vessels", True),
                        ("idrid/real_degraded", False)):  # fmt: skip
        for index, path in enumerate(list_images(data / name)):
            rng = np.random.default_rng([7, len(name), index])
            image = load_image(path, size=int(rng.choice([1024, 1024, 1024, 768])))
            if image is None:
                continue
            samples.number += 1
            if samples.number % 25 == 0:
                print(samples.number, file=sys.stderr, flush=True)
            stored = ("half", "jpeg")[index % 2]
            if sharp:
                add_sharp(samples, image, rng, index=index, stored=stored)
            else:
                samples.add(image.pixels, 0.45, 4, stored=stored)
    return samples.arrays()


def add_sharp(
    samples: Samples, image: EvaluationImage, rng: np.random.Generator, *, index: int, stored: str
) -> None:
    """A sharp photograph, degraded, in other colours, filtered, and beyond help."""
    samples.add(image.pixels, 0.0, 0, stored=stored)
    for copy in range(5):
        base = image if copy < 2 else recoloured(image, rng)
        if copy == 2:
            samples.add(base.pixels, 0.0, 0, stored=stored)
        pixels, severe = degraded(base, rng)
        samples.add(pixels, severe, 1, stored=stored)
        if copy == 4:  # filters make nothing better: the severity is that of what was filtered
            method = (clahe, unsharp, graham, graham)[index % 4]
            worst = 1.0 if method is graham else severe  # colours and light are gone
            samples.add(method(pixels, image.fov), worst, 2)
    samples.add(hopeless(image, rng), 1.0, 3)


def fit(found: dict[str, np.ndarray], *, trees: int, depth: int):
    """Boosted trees (Friedman 2001) to one latent number, then two thresholds on it."""
    from sklearn.ensemble import GradientBoostingRegressor

    train = found["image"] % 5 != 0
    target = 8 * (found["target"] - 0.45)
    weight = np.array([1.0, 1.0, 1.0, 0.5, 0.3])[found["kind"]]
    # Stored copies have the same target: that is how it learns that storing changes nothing.
    again = train & ~np.isnan(found["y"]).any(1)
    forest = GradientBoostingRegressor(
        n_estimators=trees, max_depth=depth, learning_rate=0.04, subsample=0.5, max_features=0.3,
        min_samples_leaf=8, random_state=0, init="zero",
    )  # fmt: skip
    forest.fit(
        np.concatenate([found["x"][train], found["y"][again]]).astype(np.float32),
        np.concatenate([target[train], target[again]]),
        np.concatenate([weight[train], weight[again]]),
    )
    z = forest.predict(found["x"].astype(np.float32))
    label = labels(found["target"])
    cut, scale = calibrate(torch.tensor(z[~train]), torch.tensor(label[~train]))
    arrays = pack([one.tree_ for one in forest.estimators_[:, 0]])
    # The grader takes the mean over its trees, boosting their sum.
    arrays["value"] *= np.float32(forest.learning_rate * trees)
    return arrays | {"cuts": np.float32(cut), "scale": np.float32([scale])}, z, train


def labels(severe: np.ndarray) -> np.ndarray:
    """Grades of severities: 0 good, 1 usable, 2 reject."""
    return (severe >= GOOD_BELOW).astype(int) + (severe >= REJECT_FROM)


def pack(trees: list) -> dict[str, np.ndarray]:
    """All trees as one list of nodes; a leaf is its own child."""
    sizes = [tree.node_count for tree in trees]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    children = []
    for child in ("children_left", "children_right"):
        own = [np.arange(n) for n in sizes]
        children.append(
            np.concatenate(
                [
                    np.where(getattr(t, child) < 0, o, getattr(t, child)) + start
                    for t, o, start in zip(trees, own, starts, strict=True)
                ]
            )
        )
    return {
        "roots": starts.astype(np.int32),
        "feature": np.concatenate([np.maximum(t.feature, 0) for t in trees]).astype(np.int32),
        "threshold": np.concatenate([t.threshold for t in trees]).astype(np.float32),
        "left": children[0].astype(np.int32),
        "right": children[1].astype(np.int32),
        "value": np.concatenate([t.value[:, 0, 0] for t in trees]).astype(np.float32),
    }


def calibrate(z: torch.Tensor, label: torch.Tensor) -> tuple[np.ndarray, float]:
    """Thresholds and steepness of least log loss on images that were held out."""
    cuts = torch.nn.Parameter(torch.tensor([-1.0, 1.5]))
    scale = torch.nn.Parameter(torch.tensor(0.0))
    optimiser = torch.optim.LBFGS([cuts, scale], max_iter=200)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        above = torch.sigmoid(scale.exp() * (z[:, None] - cuts))
        p = torch.stack([1 - above[:, 0], above[:, 0] - above[:, 1], above[:, 1]], 1)
        loss = -p.clamp_min(1e-6).log().gather(1, label[:, None]).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    return cuts.detach().numpy(), float(scale.detach().exp())


def judge(arrays, z, found, train) -> dict[str, float]:
    """How well it does on the images that were held out."""
    from scipy.stats import spearmanr

    held = ~train
    above = 1 / (1 + np.exp(-arrays["scale"] * (z[held, None] - arrays["cuts"])))
    p = np.stack([1 - above[:, 0], above[:, 0] - above[:, 1], above[:, 1]], 1)
    label, severe = labels(found["target"])[held], found["target"][held]
    known = found["kind"][held] <= 1
    most, right = p.max(1), p.argmax(1) == label
    bins = np.clip((most * 10).astype(int), 0, 9)
    gap = sum(
        abs(most[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    )
    return {
        "images_fitted": int(np.unique(found["image"][train]).size),
        "images_held_out": int(np.unique(found["image"][held]).size),
        "samples_fitted": int(train.sum()), "samples_held_out": int(held.sum()),
        "accuracy": float(right.mean()), "calibration_error": float(gap),
        "log_loss": float(-np.log(p[np.arange(len(label)), label].clip(1e-9)).mean()),
        "spearman_severity": float(spearmanr(z[held][known], severe[known])[0]),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--features", type=Path, default=Path("eval/grader.npz"))
    parser.add_argument("--trees", type=int, default=400)
    parser.add_argument("--depth", type=int, default=4)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"the photographs are not there: {arguments.data}; say where with --data")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if not arguments.features.exists():
        arguments.features.parent.mkdir(parents=True, exist_ok=True)
        np.savez(arguments.features, **collect(arguments.data))
    found = dict(np.load(arguments.features))
    arrays, z, train = fit(found, trees=arguments.trees, depth=arguments.depth)
    facts = judge(arrays, z, found, train)
    facts |= {"trees": arguments.trees, "depth": arguments.depth}
    SHIPPED.parent.mkdir(exist_ok=True)
    save_file(
        arrays, SHIPPED, metadata={"format": "magenet-grader-1", "features": ",".join(FEATURES)}
    )
    (RESULTS / "grader.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
