"""Plants inventions and losses in honest outputs, and sees whether fidelity catches them.

    python studies/planting.py [--data ../shared/data] [--images 32] [--trials 3]

The shipped network enhances images of idrid/val_clean and hrf/test-vessels, each degraded in
several ways. In each output a vessel is drawn, a vessel erased, a lesion added, a lesion removed;
the colours of the first output are made wrong in three ways. The limits in quality/limits.py were
chosen while looking at every second image (`chosen_on`); the others (`held_out`) give the rates
that are stated. False alarms are also counted without the images that the degradation blurred or
made noisy: there, vessels that nobody could see appear, and lines that noise drew disappear.
Writes studies/results/planting.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.evaluation.images import EvaluationImage, list_images, load_image
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.jobs.policy import POLICIES
from magenet_batch.jobs.work.measuring import sharpness_of
from magenet_batch.quality.fidelity import measure_fidelity
from magenet_batch.quality.limits import LIMITS

RESULTS = Path(__file__).parent / "results"
LEAST = POLICIES["standard"].fidelity
SIZE = 560
CATCHES = {
    "vessel drawn": ("vessel_new", "vessel_new_longest"),
    "vessel erased": ("vessel_lost", "vessel_lost_longest"),
    "lesion added": ("lesion_new",),
    "lesion removed": ("lesion_lost",),
    "blue added": ("wrong_colour",),
    "red taken": ("wrong_colour",),
    "red and green swapped": ("wrong_colour",),
}
CASTS = {
    "blue added": lambda rgb: rgb + np.array([0, 0, 60]),
    "red taken": lambda rgb: rgb * (0.6, 1, 1),
    "red and green swapped": lambda rgb: rgb[..., [1, 0, 2]],
}


def draw_vessel(pixels, fov, rng, vessels) -> np.ndarray | None:
    """A curved dark line of 0.45 radii and 1.2 % width, soft, where there was none."""
    height, width = pixels.shape[:2]
    free = cv2.resize(cv2.dilate(vessels, np.ones((5, 5))), (width, height))
    for _ in range(400):
        angle, turn = rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1)
        at = np.array([fov.x, fov.y]) + rng.uniform(-0.5, 0.5, 2) * fov.radius
        points = []
        for _ in range(30):
            points.append(at.copy())
            at = at + 0.015 * fov.radius * np.array([np.cos(angle), np.sin(angle)])
            angle += turn * 0.03
        points = np.round(points).astype(int)
        inside = ((points >= 0) & (points < (width, height))).all()
        if inside and (free[points[:, 1], points[:, 0]] > 0.3).mean() < 0.3:
            line = np.zeros((height, width), np.float32)
            cv2.polylines(
                line, [points], False, 1.0, max(2, round(0.024 * fov.radius)), cv2.LINE_AA
            )
            line = cv2.GaussianBlur(line, (0, 0), 0.004 * fov.radius)[..., None]
            return (pixels * (1 - line * (0.15, 0.4, 0.3))).astype(np.uint8)
    return None


def erase_vessel(pixels, fov, rng, vessels) -> np.ndarray | None:
    """Paint a stretch of about 0.4 radii of a clear vessel over with what surrounds it."""
    height, width = pixels.shape[:2]
    sure = cv2.resize(vessels, (width, height)) > 0.6
    inner = np.hypot(*np.ogrid[-fov.y : height - fov.y, -fov.x : width - fov.x]) < 0.8 * fov.radius
    candidates = np.argwhere(sure & inner)
    if not len(candidates):
        return None
    y, x = candidates[rng.integers(len(candidates))]
    disc = np.zeros((height, width), np.uint8)
    cv2.circle(disc, (int(x), int(y)), round(0.2 * fov.radius), 1, -1)
    grown = round(0.012 * fov.radius) * 2 + 1
    hole = cv2.dilate((sure & (disc > 0)).astype(np.uint8), np.ones((grown, grown), np.uint8))
    return cv2.inpaint(pixels, hole, 3, cv2.INPAINT_TELEA)


def add_lesion(pixels, fov, rng, vessels) -> np.ndarray | None:
    """A soft dark or bright spot of 1 to 2.5 % of the radius, away from vessels."""
    height, width = pixels.shape[:2]
    near = cv2.resize(cv2.dilate(vessels, np.ones((9, 9))), (width, height)) > 0.3
    for _ in range(60):
        x, y = np.array([fov.x, fov.y]) + rng.uniform(-0.55, 0.55, 2) * fov.radius
        if 0 <= x < width and 0 <= y < height and not near[int(y), int(x)]:
            spot = np.zeros((height, width), np.float32)
            cv2.circle(
                spot, (int(x), int(y)), max(2, round(rng.uniform(0.015, 0.03) * fov.radius)), 1, -1
            )
            spot = cv2.GaussianBlur(spot, (0, 0), 0.005 * fov.radius)[..., None]
            if rng.random() < 0.5:
                return (pixels * (1 - spot * (0.2, 0.45, 0.3))).astype(np.uint8)
            return (pixels + spot * (230 - np.minimum(pixels, 230)) * (0.5, 0.6, 0.3)).astype(
                np.uint8
            )
    return None


PLANTS = {"vessel drawn": draw_vessel, "vessel erased": erase_vessel, "lesion added": add_lesion}


def trial(enhancer: Enhancer, image: EvaluationImage, *seeds: int) -> list[tuple[str, dict]]:
    """Fidelity of the honest output and of every planted one."""
    rng = np.random.default_rng([11, *seeds])
    params = sample_degradation(rng, preset("evaluation"))
    before = degrade_pixels(image.pixels, params, mask=image.mask)
    result = enhancer.enhance(before, image.fov)
    old, seen = result.vessels_before, result.vessels_after
    found = []

    def add(kind: str, first: np.ndarray, after: np.ndarray, vessels_first: np.ndarray) -> None:
        same = after is result.pixels or kind in CASTS
        last = seen if same else enhancer.vessels(after, image.fov)
        row = measure_fidelity(
            first,
            after,
            image.fov,
            vessels_before=vessels_first,
            vessels_after=last,
            sharpness=None if kind in CASTS else sharpness_of(result.estimates, enhancer),
            veil=result.estimates.veil,
        )
        found.append((kind, {**row, "sensor": params.blur_sigma > 0 or params.noise_read > 0}))

    add("honest", before, result.pixels, old)
    for kind, plant in PLANTS.items():
        planted = plant(result.pixels, image.fov, rng, seen)
        if planted is not None:
            add(kind, before, planted, old)
    # A lesion that was in the original and is not in the output: planted before, not after.
    lesion = add_lesion(before, image.fov, rng, seen)
    if lesion is not None:
        add("lesion removed", lesion, result.pixels, enhancer.vessels(lesion, image.fov))
    inside = image.mask[..., None]
    for kind, cast in CASTS.items() if seeds[-1] == 0 else ():
        wrong = np.clip(cast(result.pixels.astype(float)), 0, 255).astype(np.uint8)
        add(kind, before, np.where(inside, wrong, result.pixels), old)
    return found


def flagged(row: dict, names) -> bool:
    agreement = row["structure_agreement"]
    row = {**row, "disagreement": None if agreement is None else 1 - agreement}
    return any(row[name] is not None and row[name] > LIMITS[name] for name in names)


def measured(rows: list[tuple[str, dict]], kind: str, name: str) -> list[float]:
    """Values of one measure in the outputs of one kind."""
    shown = "structure_agreement" if name == "disagreement" else name
    values = [row[shown] for what, row in rows if what == kind and row[shown] is not None]
    return [1 - value for value in values] if name == "disagreement" else values


def rates(rows: list[tuple[str, dict]]) -> dict:
    """Share of honest outputs that are flagged, by what flags them, and of planted ones caught."""

    def share(kind: str, names, *, sensor: bool = True) -> float:
        found = [row for what, row in rows if what == kind and (sensor or not row["sensor"])]
        return sum(flagged(row, names) for row in found) / max(len(found), 1)

    anatomy = [name for name in LIMITS if name != "wrong_colour"]
    counts = Counter(kind for kind, _ in rows)
    return {
        "images": counts["honest"],
        "blurred_or_noisy": sum(row["sensor"] for kind, row in rows if kind == "honest"),
        "false_alarms": {
            **{name: share("honest", [name]) for name in LIMITS},
            "anatomy": share("honest", anatomy),
            "anatomy_without_blur_and_noise": share("honest", anatomy, sensor=False),
        },
        "undelivered": float(np.mean([r["fidelity"] < LEAST for k, r in rows if k == "honest"])),
        "caught": {
            kind: {"planted": counts[kind], "share": share(kind, names)}
            for kind, names in CATCHES.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--images", type=int, default=32, help="of each folder")
    parser.add_argument("--trials", type=int, default=3, help="degradations of each image")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"the photographs are not there: {arguments.data}; say where with --data")
    enhancer = Enhancer.load(threads=1)
    halves: tuple[list, list] = ([], [])
    seed = 0
    for folder in ("idrid/val_clean", "hrf/test-vessels"):
        for path in list_images(arguments.data / folder, limit=arguments.images):
            image = load_image(path, size=SIZE)
            if image is not None:
                seed += 1
                for number in range(arguments.trials):
                    halves[seed % 2].extend(trial(enhancer, image, seed, number))
                print(seed, path.name, file=sys.stderr, flush=True)
    facts = {
        "weights": enhancer.weights_hash, "images": seed, "limits": LIMITS, "least_fidelity": LEAST,
    }  # fmt: skip
    facts |= {"chosen_on": rates(halves[0]), "held_out": rates(halves[1])}
    every = [*halves[0], *halves[1]]
    facts["values"] = {
        kind: {
            name: np.percentile(measured(every, kind, name), [5, 50, 95]).round(4).tolist()
            for name in CATCHES.get(kind, (*LIMITS, "fidelity"))
        }
        for kind in ("honest", *CATCHES)
    }
    (RESULTS / "planting.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
