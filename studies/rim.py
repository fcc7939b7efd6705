"""Does an enhanced image have a line along the rim that its original had not? docs/quality.md.

    python studies/rim.py [--data ../shared/data] [--weights small] [--images 0]

Every photograph of cataract and stare (evaluation only: nothing was fitted on them), original,
enhanced, and as doing nothing leaves it; and the enhanced ones with their outermost 3 percent put
back as they were, which is what an edge left out looks like. The formulas are in
magenet_batch/quality/rim.py. The six images with the strongest seams are drawn in eval/rim.
Writes studies/results/rim.json. Run it again when the weights change.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np

from magenet_batch.evaluation.images import EvaluationImage, list_images, load_image
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.quality.rim import rim_line, rim_reached, rim_seam

RESULTS = Path(__file__).parent / "results"
FOLDERS = ("cataract", "stare")
SIZE = 720
LEFT_OUT = 0.03  # radii


def measured(image: EvaluationImage, after: np.ndarray) -> dict[str, float | None]:
    """All measures of one output."""
    before, fov = image.pixels, image.fov
    return {
        "line": rim_line(after, fov), "seam": rim_seam(before, after, fov),
        "reached": rim_reached(before, after, fov),
    }  # fmt: skip


def outputs(image: EvaluationImage, enhancer: Enhancer) -> dict[str, np.ndarray]:
    """What is compared."""
    enhanced = enhancer.enhance(image.pixels, image.fov).pixels
    core = image.fov.without_rim(LEFT_OUT).mask(*image.pixels.shape[:2])[..., None]
    return {
        "nothing done": image.pixels,
        "enhanced": enhanced,
        "enhanced, its edge left out": np.where(core, enhanced, image.pixels),
    }


def summary(rows: list[dict[str, float | None]]) -> dict[str, object]:
    """Median, and what one image in twenty exceeds."""
    found: dict[str, object] = {"images": len(rows)}
    for name in ("line", "seam", "reached"):
        values = [row[name] for row in rows if row[name] is not None]
        found[name] = (
            {"median": round(float(np.median(values)), 3),
             "p5": round(float(np.percentile(values, 5)), 3),
             "p95": round(float(np.percentile(values, 95)), 3)}
            if values else None
        )  # fmt: skip
    return found


def draw(path: Path, pairs: list[tuple[str, np.ndarray, np.ndarray]]) -> None:
    """Originals above their outputs."""
    columns = []
    for text, *pictures in pairs:
        tiles = [cv2.resize(x, (420, 420 * x.shape[0] // x.shape[1])) for x in pictures]
        column = np.vstack([*tiles, np.zeros((20, 420, 3), np.uint8)])
        cv2.putText(column, text, (4, len(column) - 6), 0, 0.45, (255, 255, 255))
        columns.append(np.vstack([column, np.zeros((900, 420, 3), np.uint8)])[:900])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.hstack(columns)[..., ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", default="small")
    parser.add_argument("--images", type=int, default=0, help="of each folder; 0 for all")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"the photographs are not there: {arguments.data}; say where with --data")
    enhancer = Enhancer.load(arguments.weights, threads=1)
    facts: dict[str, object] = {"weights": enhancer.weights_hash}
    for folder in FOLDERS:
        rows: dict[str, list[dict[str, float | None]]] = {}
        seams = []
        for path in list_images(arguments.data / folder, limit=arguments.images):
            image = load_image(path, size=SIZE)
            if image is None:
                print(f"{path}: no field of view", file=sys.stderr)
                continue
            found = outputs(image, enhancer)
            for name, after in found.items():
                rows.setdefault(name, []).append(measured(image, after))
            seam = rows["enhanced"][-1]["seam"]
            if seam is not None:
                words = f"{path.stem}: seam {seam:.1f}"
                seams.append((seam, words, image.pixels, found["enhanced"]))
                seams = sorted(seams, key=lambda one: -one[0])[:6]
        draw(Path("eval/rim") / f"{folder}.png", [(w, a, b) for _, w, a, b in seams])
        facts[folder] = {name: summary(many) for name, many in rows.items()}
        facts[folder]["strongest"] = [words for _, words, _, _ in seams]  # type: ignore[index]
        print(folder, json.dumps(facts[folder]), flush=True)
    (RESULTS / "rim.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
