"""What the default policy does with real photographs: docs/quality.md.

    python studies/delivered.py [--data ../shared/data] [--images 0] [--weights small]

No network and no grader was fitted on cataract, drimdb and stare; idrid/real_degraded and hygd are
real photographs of which the network saw some without labels, and of which the grader was told a
grade by eye. Every image goes the way of a job, at its own size: recognised, measured, enhanced,
measured again, decided. Also those that the policy leaves as they came are enhanced, so that the
table of grades before and after has all of a camera. Images that were withheld, flagged or only
reported are drawn beside their originals in eval/delivered, for looking at. Writes
studies/results/delivered.json. Run it again when the weights, the grader or the limits change.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from magenet_batch.evaluation.images import list_images
from magenet_batch.imaging.fov import find_fov
from magenet_batch.imaging.read import read_image
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.jobs.policy import POLICIES, grades_lost
from magenet_batch.jobs.work.deciding import decide
from magenet_batch.jobs.work.measuring import measure_before
from magenet_batch.quality.limits import MOST
from magenet_batch.quality.recognition import recognise
from magenet_batch.records.vocabulary import GRADES, KEPT_REASONS

RESULTS = Path(__file__).parent / "results"
FOLDERS = ("cataract", "drimdb/good", "drimdb/bad", "stare", "idrid/real_degraded",
           "hygd/degraded", "hygd/mixed")  # fmt: skip
MEASURES = ("brightness_before", "brightness_after", "vessel_contrast", "darkened")
Picture = tuple[str, np.ndarray, np.ndarray]


def decided(path: Path, enhancer: Enhancer) -> tuple[dict, Picture]:
    """What the policy says of one photograph, why, and the pictures."""
    policy = POLICIES["standard"]
    pixels = read_image(path).pixels
    fov = find_fov(pixels)
    said = {"image": path.name, "verdict": "enhanced", "flags": []}
    kind = recognise(pixels, fov)
    if fov is None:
        verdict = f"failed: {kind or 'no_fov'}"
        return said | {"verdict": verdict}, (f"{path.stem} {verdict}", pixels, pixels)
    row = measure_before(pixels, fov)
    reason = kind or policy.before(row)
    said["grade_before"] = row["grade_before"]
    found = decide(
        pixels, enhancer.enhance(pixels, fov), fov, before=row, policy=policy, detector=enhancer,
        with_spots=lambda: enhancer.enhance(pixels, fov, spots=False),
    )  # fmt: skip
    row |= found.measured
    if kind is None:
        said |= {"grade_after": row["grade_after"], "lost": grades_lost(row)}
        said |= {name: round(row[name], 4) for name in MEASURES if row[name] is not None}
    if reason is None:
        said["flags"] = row["flags"]
        said |= {"with_dust": True} if found.spots_left else {}
        reason = found.kept
    if reason is not None:
        status = "as it came" if reason in KEPT_REASONS else "withheld"
        said["verdict"] = f"{status}: {reason}"
    words = f"{path.stem[-16:]} {said['verdict']}\n{row['grade_before']} to {row['grade_after']}\n"
    return said, (words + " ".join(said["flags"]), pixels, found.enhanced.pixels)


def draw(path: Path, pictures: list[Picture]) -> None:
    """Originals above their outputs, each with its name and what was said, 260 px wide."""
    if not pictures:
        return
    columns = []
    for text, *both in pictures:
        height = round(both[0].shape[0] * 260 / both[0].shape[1])
        tiles = [cv2.resize(x, (260, height), interpolation=cv2.INTER_AREA) for x in both]
        column = np.vstack([*tiles, np.zeros((600, 260, 3), np.uint8)])[:600]
        for line, words in enumerate(text.splitlines()):
            cv2.putText(column, words, (4, 550 + 16 * line), 0, 0.4, (255, 255, 255))
        columns.append(column)
    columns += [np.zeros_like(columns[0])] * (-len(columns) % 7)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [np.hstack(columns[i : i + 7]) for i in range(0, len(columns), 7)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def brightness(delivered: list[dict]) -> dict[str, float]:
    """Mean lightness after over before: its middle and its ends."""
    ratios = [row["brightness_after"] / row["brightness_before"] for row in delivered]
    if not ratios:
        return {}
    return {"least": round(min(ratios), 3), "median": round(float(np.median(ratios)), 3),
            "most": round(max(ratios), 3)}  # fmt: skip


def darkened(graded: list[dict]) -> dict:
    """Images of which a part went dark, of those that nothing else withheld; the next below."""
    judged = ("enhanced", "withheld: darkened")
    shares = {row["image"]: row["darkened"] for row in graded if row["verdict"] in judged}
    limit = MOST["darkened"]
    below = [share for share in shares.values() if share <= limit]
    above = {name: share for name, share in shares.items() if share > limit}
    return {"images": len(shares), "above": above, "next": max(below, default=0.0)}


def summary(rows: list[dict]) -> dict:
    """Verdicts, and grades before and after."""
    graded = [row for row in rows if row.get("lost") is not None]
    delivered = [row for row in graded if row["verdict"] == "enhanced"]
    return {
        "images": len(rows),
        "verdicts": dict(sorted(Counter(row["verdict"] for row in rows).items())),
        "flagged_and_delivered": sum(
            bool(row["flags"]) for row in rows if row["verdict"] == "enhanced"
        ),
        "with_dust": sum(row.get("with_dust", False) for row in delivered),
        "before": {g: sum(row["grade_before"] == g for row in graded) for g in GRADES},
        "after": {g: sum(row["grade_after"] == g for row in graded) for g in GRADES},
        "rose": sum(row["lost"] < 0 for row in graded),
        "fell": sum(row["lost"] > 0 for row in graded),
        "became_gradable": sum(
            row["grade_before"] == "reject" and row["lost"] < 0 for row in delivered
        ),
        "brightness": brightness(delivered),
        "darkened": darkened(graded),
        "delivered_rose": sum(row["lost"] < 0 for row in delivered),
        "delivered_fell": sum(row["lost"] > 0 for row in delivered),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", default="small")
    parser.add_argument("--images", type=int, default=0, help="of each folder; 0 for all")
    parser.add_argument("--only", default="", help="one folder; the others stay as they are")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"the photographs are not there: {arguments.data}; say where with --data")
    cv2.setNumThreads(1)
    enhancer = Enhancer.load(arguments.weights, threads=1)
    path = RESULTS / "delivered.json"
    folders = json.loads(path.read_text("utf-8"))["folders"] if arguments.only else {}
    for folder in (arguments.only,) if arguments.only else FOLDERS:
        rows, shown = [], {"enhanced": [], "others": []}
        for image in list_images(arguments.data / folder, limit=arguments.images):
            said, picture = decided(image, enhancer)
            rows.append(said)
            plain = said["verdict"] == "enhanced" and not said["flags"]
            shown["enhanced" if plain else "others"].append(picture)
        for name, pictures in shown.items():
            draw(Path("eval/delivered") / f"{folder.replace('/', '_')}_{name}.png", pictures)
        folders[folder] = summary(rows)
        print(folder, {k: v for k, v in folders[folder].items() if k != "rows"}, flush=True)
        facts = {"weights": enhancer.weights_hash, "folders": folders}
        path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
