"""Fit the quality grader of the package to synthetic severities and to visually graded photographs.

    python tools/fit_grader.py [--data ../shared/data] [--features eval/grader] [--sharp 0]
    python tools/fit_grader.py --part 0/2 & python tools/fit_grader.py --part 1/2; wait
    python tools/fit_grader.py --unseen

The training pictures come from six cameras: sharp photographs of IDRiD, GRAPE, HRF, FIVES and RFMiD
(good), recoloured copies (good), degraded copies (graded by their severity), filtered copies, and
hopeless pictures made from them (reject); many of them also stored at another size or quality. To
these are added the real photographs of idrid/real_degraded, hygd, fives/degraded and
rfmid/degraded, which a vision model graded from contact sheets (260 pixels each).
grader_labels.csv has its grades, and lists the sharp photographs that turned out not to be good.

One patient in five is held out for calibration. --part I/N computes only one part of the features,
so that several processes can share the work. The features take 20 minutes on one core, the fit half
a minute, --unseen two minutes. Images of the folders that studies/assess.py tests on are never
read. Writes magenet_batch/quality/shipped/grader.safetensors and tools/results/grader.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import torch
from grader_samples import (
    DEGRADED,
    FILTERED,
    HOPELESS,
    LOOKED_AT,
    REAL_ONE,
    RECOLOURED,
    SHARP_ONE,
    collect,
    jobs,
    labels_by_eye,
)
from safetensors.numpy import save_file

from magenet_batch.degradation.severity import GOOD_BELOW, REJECT_FROM
from magenet_batch.quality.grade import SHIPPED
from magenet_batch.quality.visibility import FEATURES
from magenet_batch.records.vocabulary import GRADES

RESULTS = Path(__file__).parent / "results"
WEIGHTS = {
    SHARP_ONE: 1.0, DEGRADED: 1.0, FILTERED: 0.3, HOPELESS: 0.3, REAL_ONE: 1.5, RECOLOURED: 0.2,
}  # fmt: skip
"""Weight of a picture in the fit, by kind."""
REAL_IN_CALIBRATION = 4.0
"""Additional weight of real photographs in calibration, because they are what users grade."""
Arrays = dict[str, np.ndarray]


def load(folder: Path) -> Arrays:
    """Load all computed features; visual grades replace severities where these are missing."""
    parts = [dict(np.load(path)) for path in sorted(folder.glob("*.npz"))]
    found = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    by_eye = labels_by_eye()
    grade = np.array([by_eye.get(path, "") for path in found["path"]])
    looked = np.array([LOOKED_AT.get(g, np.nan) for g in grade])
    real = found["kind"] == REAL_ONE
    # A sharp photograph that is not good counts as a real one; its copies are not used.
    spoilt = (found["kind"] == SHARP_ONE) & ~np.isnan(looked)
    keep = np.where(real | spoilt, ~np.isnan(looked), grade == "")
    found["target"] = np.where(real | spoilt, looked, found["target"])
    found["kind"] = np.where(spoilt, REAL_ONE, found["kind"])
    found = {key: value[keep] for key, value in found.items()}
    found["camera"] = np.array([path.split("/")[0] for path in found["path"]])
    found["held"] = np.array([held_out(path) for path in found["path"]])
    return found


def held_out(path: str) -> bool:
    """Whether an image is held out: one patient in five, as in `106_OD_1` the number 106."""
    camera, *_, name = path.split("/")
    return zlib.crc32(f"{camera} {Path(name).stem.split('_')[0]}".encode()) % 5 == 0


def fit(found: Arrays, train: np.ndarray, *, trees: int, depth: int) -> tuple[Arrays, np.ndarray]:
    """Fit boosted trees (Friedman 2001) to one latent number, then two thresholds.

    Args:
        found: samples, from `load`.
        train: samples to fit the trees to, (N,) bool; the thresholds are fitted to the others.
        trees: number of trees.
        depth: depth of each tree.

    Returns:
        The grader's arrays, and the latent number of every sample.
    """
    from sklearn.ensemble import GradientBoostingRegressor

    target = 8 * (found["target"] - 0.45)
    weight = np.array([WEIGHTS[kind] for kind in found["kind"]])
    # Stored copies have the same target, so that the grader learns to ignore how images are stored.
    again = train & ~np.isnan(found["y"]).any(1)
    forest = GradientBoostingRegressor(
        n_estimators=trees, max_depth=depth, learning_rate=0.02, subsample=0.5, max_features=0.3,
        min_samples_leaf=8, random_state=0, init="zero",
    )  # fmt: skip
    forest.fit(
        np.concatenate([found["x"][train], found["y"][again]]).astype(np.float32),
        np.concatenate([target[train], target[again]]),
        np.concatenate([weight[train], weight[again]]),
    )
    z = forest.predict(found["x"].astype(np.float32))
    label = labels(found["target"])
    rest = ~train
    counted = weight * np.where(found["kind"] == REAL_ONE, REAL_IN_CALIBRATION, 1.0)
    cut, scale = calibrate(
        torch.tensor(z[rest]), torch.tensor(label[rest]), torch.tensor(counted[rest])
    )
    arrays = pack([one.tree_ for one in forest.estimators_[:, 0]])
    # The grader averages its trees; boosting adds them.
    arrays["value"] *= np.float32(forest.learning_rate * trees)
    return arrays | {"cuts": np.float32(cut), "scale": np.float32([scale])}, z


def labels(severe: np.ndarray) -> np.ndarray:
    """Convert severities to grades: 0 good, 1 usable, 2 reject."""
    return (severe >= GOOD_BELOW).astype(int) + (severe >= REJECT_FROM)


def pack(trees: list) -> dict[str, np.ndarray]:
    """Join all trees into one list of nodes; a leaf is its own child."""
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


def calibrate(
    z: torch.Tensor, label: torch.Tensor, weight: torch.Tensor
) -> tuple[np.ndarray, float]:
    """Find the thresholds and the slope that minimise the log loss on held-out images."""
    cuts = torch.nn.Parameter(torch.tensor([-1.0, 1.5]))
    scale = torch.nn.Parameter(torch.tensor(0.0))
    optimiser = torch.optim.LBFGS([cuts, scale], max_iter=200)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        above = torch.sigmoid(scale.exp() * (z[:, None] - cuts))
        p = torch.stack([1 - above[:, 0], above[:, 0] - above[:, 1], above[:, 1]], 1)
        each = -p.clamp_min(1e-6).log().gather(1, label[:, None])[:, 0]
        loss = (each * weight).sum() / weight.sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return cuts.detach().numpy(), float(scale.detach().exp())


def chances(arrays: Arrays, z: np.ndarray) -> np.ndarray:
    """Compute the probabilities of the grades, (N, 3)."""
    above = 1 / (1 + np.exp(-arrays["scale"] * (z[:, None] - arrays["cuts"])))
    return np.stack([1 - above[:, 0], above[:, 0] - above[:, 1], above[:, 1]], 1)


def calibration_error(p: np.ndarray, label: np.ndarray) -> float:
    """Expected calibration error of the most likely grade, ten bins (Naeini et al., AAAI 2015)."""
    most, right = p.max(1), p.argmax(1) == label
    bins = np.clip((most * 10).astype(int), 0, 9)
    return float(
        sum(
            abs(most[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean()
            for b in np.unique(bins)
        )
    )


def confusion(p: np.ndarray, label: np.ndarray) -> dict[str, object]:
    """Confusion matrix (rows: true grades, columns: predicted grades), accuracy and calibration."""
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (label, p.argmax(1)), 1)
    return {
        "pictures": len(label), "accuracy": round(float((p.argmax(1) == label).mean()), 3),
        "calibration_error": round(calibration_error(p, label), 3),
        "counts": {g: counts[i].tolist() for i, g in enumerate(GRADES)},
    }  # fmt: skip


def judge(arrays: Arrays, z: np.ndarray, found: Arrays) -> dict[str, object]:
    """Measure the grader on the held-out patients, overall and by camera."""
    from scipy.stats import spearmanr

    held, train = found["held"], ~found["held"]
    p, label = chances(arrays, z), labels(found["target"])
    known = held & np.isin(found["kind"], (SHARP_ONE, DEGRADED, RECOLOURED))
    real = held & (found["kind"] == REAL_ONE)
    return {
        "images_fitted": int(np.unique(found["path"][train]).size),
        "images_held_out": int(np.unique(found["path"][held]).size),
        "samples_fitted": int(train.sum()), "samples_held_out": int(held.sum()),
        "spearman_severity": float(spearmanr(z[known], found["target"][known])[0]),
        "all": confusion(p[held], label[held]),
        "real": confusion(p[real], label[real]),
        "cameras": {
            str(camera): confusion(p[those], label[those])
            for camera in np.unique(found["camera"])
            if (those := held & (found["camera"] == camera)).any()
        },
    }  # fmt: skip


def unseen(found: Arrays, *, trees: int, depth: int) -> dict[str, object]:
    """Grade each camera with a grader fitted to all others, which is like a new camera."""
    result = {}
    for camera in np.unique(found["camera"]):
        away = found["camera"] == camera
        others = {key: value[~away] for key, value in found.items()}
        arrays, _ = fit(others, ~others["held"], trees=trees, depth=depth)
        z = latent(arrays, found["x"][away])
        result[str(camera)] = confusion(chances(arrays, z), labels(found["target"][away]))
    return result


def latent(arrays: Arrays, x: np.ndarray) -> np.ndarray:
    """Compute the latent number of each sample as the package does."""
    from magenet_batch.quality.grade import Grader

    grader = Grader(**arrays)
    return np.array([grader.latent(row) for row in x])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--features", type=Path, default=Path("eval/grader"))
    parser.add_argument("--part", default="", help="compute only part I/N of the features")
    parser.add_argument(
        "--sharp", type=int, default=0, help="maximum number of sharp photographs; 0 for all"
    )
    parser.add_argument("--unseen", action="store_true", help="also leave out each camera in turn")
    parser.add_argument("--trees", type=int, default=800)
    parser.add_argument("--depth", type=int, default=4)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"the photographs are not there: {arguments.data}; say where with --data")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if arguments.part or not any(arguments.features.glob("*.npz")):
        part, parts = map(int, (arguments.part or "0/1").split("/"))
        wanted = jobs(arguments.data, sharp=arguments.sharp)[part::parts]
        arguments.features.mkdir(parents=True, exist_ok=True)
        np.savez(arguments.features / f"{part}-{parts}.npz", **collect(wanted))
    if arguments.part:
        return
    found = load(arguments.features)
    shape = {"trees": arguments.trees, "depth": arguments.depth}
    arrays, z = fit(found, ~found["held"], **shape)
    SHIPPED.parent.mkdir(exist_ok=True)
    save_file(
        arrays, SHIPPED, metadata={"format": "magenet-grader-1", "features": ",".join(FEATURES)}
    )
    facts = judge(arrays, z, found) | shape
    if arguments.unseen:
        facts["unseen"] = unseen(found, **shape)
    (RESULTS / "grader.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
