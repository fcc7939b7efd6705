"""The grader on photographs that it was not fitted on: docs/quality.md.

    python studies/assess.py [--data ../shared/data] [--only drimdb]

drimdb (good against bad), cataract (against severity), idrid/val_clean with degradations of known
severity, stored at half size and as JPEG 85, and filters that restore nothing. Severity is the
share lost of a sharp photograph, and four of the photographs of val_clean are dark or hazy
themselves (found among 24 in a contact sheet, without their grades): pooled numbers are given with
and without them. Writes studies/results/assess.json; --only replaces one part. What the policy
does with photographs is in studies/delivered.py.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from scipy.stats import spearmanr

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.degradation.severity import GOOD_BELOW, REJECT_FROM
from magenet_batch.evaluation.baselines import BASELINES
from magenet_batch.evaluation.images import list_images, load_image
from magenet_batch.imaging.fov import find_fov
from magenet_batch.imaging.read import read_image
from magenet_batch.jobs.policy import POLICIES
from magenet_batch.quality.fidelity import measure_fidelity
from magenet_batch.quality.grade import assess_quality, quality_score
from magenet_batch.records.vocabulary import GRADES

sys.path.append(str(Path(__file__).parents[1] / "tools"))
from grader_samples import degraded, restored

RESULTS = Path(__file__).parent / "results"
LEAST = POLICIES["standard"].fidelity
NOT_SHARP = ("t002.jpg", "t005.jpg", "t051.jpg", "t076.jpg")
"""Of the first 24 that were looked at: two are dark, one is veiled, one is both."""


def assess_file(path: Path) -> dict | None:
    pixels = read_image(path).pixels
    fov = find_fov(pixels)
    return None if fov is None else assess_quality(pixels, fov)


def score(pixels: np.ndarray) -> dict | None:
    fov = find_fov(pixels)
    return None if fov is None else assess_quality(pixels, fov)


def auc(good: list[float], bad: list[float]) -> float:
    """Chance that a good one scores above a bad one."""
    g, b = np.array(good)[:, None], np.array(bad)[None]
    return float(((g > b) + 0.5 * (g == b)).mean())


def drimdb(data: Path) -> dict:
    found = {
        kind: [assess_file(p) for p in list_images(data / "drimdb" / kind)]
        for kind in ("good", "bad")
    }
    # Without a field of view there is nothing to see: as low as can be.
    scores = {
        k: [0.0 if r is None else quality_score(r) for r in rows] for k, rows in found.items()
    }
    sharp = {k: [0.0 if r is None else r["sharpness"] for r in rows] for k, rows in found.items()}
    grades = {
        k: dict(Counter("no_fov" if r is None else r["grade"] for r in v)) for k, v in found.items()
    }
    return {
        "images": {k: len(v) for k, v in found.items()},
        "auc_grade": auc(scores["good"], scores["bad"]),
        "auc_sharpness": auc(sharp["good"], sharp["bad"]),
        "grades": grades,
    }


def cataract(data: Path) -> dict:
    severe, scores, sharp, grades = [], [], [], Counter()
    with (data / "index.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if not row["file"].startswith("cataract/") or "severity=" not in row["label"]:
                continue
            found = assess_file(data / row["file"])
            if found is not None:
                severe.append(float(row["label"].split("severity=")[1].split(";")[0]))
                scores.append(quality_score(found))
                sharp.append(found["sharpness"])
                grades[found["grade"]] += 1
    return {
        "images": len(severe),
        "spearman_grade": float(spearmanr(severe, scores)[0]),
        "spearman_sharpness": float(spearmanr(severe, sharp)[0]),
        "grades": dict(grades),
    }


def synthetic(data: Path, images: int) -> dict:
    """Degradations of known severity, and the same pictures stored in other ways."""
    severe, scores, sharp = [], [], []
    changed: dict[str, list[float]] = {"half": [], "jpeg": []}
    confused = {g: Counter() for g in GRADES}
    for number, path in enumerate(list_images(data / "idrid/val_clean", limit=images)):
        image = load_image(path, size=1024)
        if image is None:
            continue
        rng = np.random.default_rng([99, number])
        pictures = [(image.pixels, 0.0), *(degraded(image, rng) for _ in range(3))]
        for index, (pixels, severity) in enumerate(pictures):
            found = score(pixels)
            if found is None:
                continue
            severe.append(severity)
            scores.append(quality_score(found))
            sharp.append(path.name not in NOT_SHARP)
            truth = GRADES[int(severity >= GOOD_BELOW) + int(severity >= REJECT_FROM)]
            confused[truth][found["grade"]] += 1
            if index < 2:
                for how, values in changed.items():
                    other = score(restored(pixels, how))
                    if other is not None:
                        values.append(abs(quality_score(other) - scores[-1]))
    return {
        "pictures": len(scores),
        "spearman_grade": float(-spearmanr(severe, scores)[0]),
        "pictures_of_sharp": sum(sharp),
        "spearman_grade_sharp": float(
            -spearmanr(np.array(severe)[sharp], np.array(scores)[sharp])[0]
        ),
        "confusion": {k: dict(v) for k, v in confused.items()},
        "stored_otherwise": {
            how: {"mean": float(np.mean(v)), "p95": float(np.percentile(v, 95))}
            for how, v in changed.items()
        },
    }


def ladders(data: Path, images: int, steps: int = 6) -> dict:
    """One degradation of one image, stronger step by step: does the score fall with it?"""
    found = []
    for number, path in enumerate(list_images(data / "idrid/val_clean", limit=images)):
        image = load_image(path, size=1024)
        if image is None:
            continue
        scores = [score(image.pixels)]
        for level in np.linspace(0, 1, steps)[1:]:
            how = replace(preset("evaluation"), severity=(level, level))
            params = sample_degradation(np.random.default_rng([97, number]), how)
            scores.append(score(degrade_pixels(image.pixels, params, mask=image.mask)))
        values = [0.0 if r is None else quality_score(r) for r in scores]
        found.append(float(-spearmanr(range(steps), values)[0]))
    return {
        "images": len(found),
        "steps": steps,
        "spearman_mean": float(np.mean(found)),
        "spearman_p10": float(np.percentile(found, 10)),
    }


def filters(data: Path, images: int) -> dict:
    """Does a filter that restores nothing raise the grade, and does fidelity catch it?"""
    from magenet_batch.inference.enhancer import Enhancer

    segment = Enhancer.load(threads=1).vessels
    found: dict[str, list[tuple[float, float, float]]] = {}
    for number, path in enumerate(list_images(data / "idrid/val_clean", limit=images)):
        image = load_image(path, size=640)
        if image is None:
            continue
        rng = np.random.default_rng([98, number])
        pixels, severity = degraded(image, rng)
        while severity < 0.4:
            pixels, severity = degraded(image, rng)
        before = quality_score(assess_quality(pixels, image.fov))
        old = segment(pixels, image.fov)
        for name in ("graham", "clahe", "unsharp"):
            after = BASELINES[name](pixels, image.fov)
            kept = measure_fidelity(
                pixels, after, image.fov, vessels_before=old,
                vessels_after=segment(after, image.fov),
            )  # fmt: skip
            raised = quality_score(assess_quality(after, image.fov))
            found.setdefault(name, []).append((before, raised, kept["fidelity"]))
    return {
        name: {
            "images": len(rows),
            "score_before": float(np.mean([r[0] for r in rows])),
            "score_after": float(np.mean([r[1] for r in rows])),
            "fidelity": float(np.mean([r[2] for r in rows])),
            "raised_and_delivered": float(
                np.mean([r[1] > r[0] + 0.1 and r[2] >= LEAST for r in rows])
            ),
        }
        for name, rows in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--images", type=int, default=62, help="photographs of idrid/val_clean")
    parser.add_argument("--only", default="", help="measure one part only")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"the photographs are not there: {arguments.data}; say where with --data")
    cv2.setNumThreads(1)
    path = RESULTS / "assess.json"
    facts = json.loads(path.read_text(encoding="utf-8")) if arguments.only else {}
    for name, work in (
        ("drimdb", lambda: drimdb(arguments.data)),
        ("cataract", lambda: cataract(arguments.data)),
        ("synthetic", lambda: synthetic(arguments.data, arguments.images)),
        ("ladders", lambda: ladders(arguments.data, min(arguments.images, 24))),
        ("filters", lambda: filters(arguments.data, min(arguments.images, 8))),
    ):
        if arguments.only not in ("", name):
            continue
        facts[name] = work()
        print(name, json.dumps(facts[name]), flush=True)
        path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
