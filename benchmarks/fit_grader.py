"""Fits the quality grader of the package, on synthetic severities and a few real photographs.

    python benchmarks/fit_grader.py [--data ../shared/data] [--features eval/grader.npz]

Trains on every fourth image of idrid/train_clean (good), every second of hrf/train-vessels (good),
degraded copies of both (by severity), hopeless pictures made of them (reject) and every second of
idrid/real_degraded (usable). One image in five is held out for calibration. Writes
magenet_batch/quality/shipped/grader.safetensors and benchmarks/results/grader.json. No image of the
folders that benchmarks/assess.py tests on is read.
"""

from __future__ import annotations

import argparse
import json
import sys
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
SIZE = 576
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


def collect(data: Path, copies: int) -> dict[str, np.ndarray]:
    """Features, severity (NaN where unknown), label 0..2, image, and features of stored copies."""
    rows: list[tuple[np.ndarray, np.ndarray, float, int, int]] = []
    number = 0

    def add(pixels: np.ndarray, severe: float, label: int, other: str | None = None) -> None:
        x = features_of(pixels)
        y = x if other is None else features_of(restored(pixels, other))
        if x is not None and y is not None:
            rows.append((x, y, severe, label, number))

    sources = [(data / "idrid/train_clean", 0), (data / "hrf/train-vessels", 0)]
    for folder, label in [*sources, (data / "idrid/real_degraded", 1)]:
        paths = list_images(folder)
        for path in paths[:: 4 if len(paths) > 200 else 2]:  # a sample is enough
            image = load_image(path, size=SIZE)
            if image is None:
                continue
            number += 1
            if number % 25 == 0:
                print(number, file=sys.stderr, flush=True)
            rng = np.random.default_rng([7, number])
            add(image.pixels, 0.0 if label == 0 else np.nan, label, ("half", "jpeg")[number % 2])
            if label:
                continue
            for k in range(copies):
                pixels, severe = degraded(image, rng)
                grade = int(severe >= GOOD_BELOW) + int(severe >= REJECT_FROM)
                add(pixels, severe, grade, ("half", "jpeg")[number // 2 % 2] if k == 0 else None)
                if k == 0:  # filters make nothing better: the label is that of what was filtered
                    method = (clahe, unsharp, graham, graham)[number % 4]
                    worst = 2 if method is graham else grade  # colours and light are gone
                    add(method(pixels, image.fov), np.nan, worst)
            add(hopeless(image, rng), np.nan, 2)
    x, y, severe, label, image_number = zip(*rows, strict=True)
    return {
        "x": np.array(x), "y": np.array(y), "severity": np.array(severe),
        "label": np.array(label), "image": np.array(image_number),
    }  # fmt: skip


def fit(found: dict[str, np.ndarray], *, trees: int, leaf: int):
    """Extremely randomised trees to one latent number, then two thresholds on it."""
    from sklearn.ensemble import ExtraTreesRegressor

    train = found["image"] % 5 != 0
    graded = np.array([0.1, 0.45, 0.9])[found["label"]]  # where no severity is known
    target = 8 * (np.where(np.isnan(found["severity"]), graded, found["severity"]) - 0.45)
    # Stored copies have the same target: that is how it learns that storing changes nothing.
    forest = ExtraTreesRegressor(trees, min_samples_leaf=leaf, max_features=0.5, random_state=0)
    x = found["x"].astype(np.float32)
    forest.fit(np.concatenate([x[train], found["y"][train]]), np.concatenate([target[train]] * 2))
    z = forest.predict(x)
    cut, scale = calibrate(torch.tensor(z[~train]), torch.tensor(found["label"][~train]))
    arrays = pack([one.tree_ for one in forest.estimators_])
    return arrays | {"cuts": np.float32(cut), "scale": np.float32([scale])}, z, train


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
    label, severe = found["label"][held], found["severity"][held]
    known = ~np.isnan(severe)
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
    parser.add_argument("--copies", type=int, default=3)
    parser.add_argument("--trees", type=int, default=150)
    parser.add_argument("--leaf", type=int, default=3, help="samples in a leaf, at least")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"the photographs are not there: {arguments.data}; say where with --data")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if not arguments.features.exists():
        arguments.features.parent.mkdir(parents=True, exist_ok=True)
        np.savez(arguments.features, **collect(arguments.data, arguments.copies))
    found = dict(np.load(arguments.features))
    arrays, z, train = fit(found, trees=arguments.trees, leaf=arguments.leaf)
    facts = judge(arrays, z, found, train)
    facts |= {"trees": arguments.trees, "leaf": arguments.leaf}
    SHIPPED.parent.mkdir(exist_ok=True)
    save_file(
        arrays, SHIPPED, metadata={"format": "magenet-grader-1", "features": ",".join(FEATURES)}
    )
    (RESULTS / "grader.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
