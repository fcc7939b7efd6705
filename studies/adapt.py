"""The paper's claim on real images: adapting to an archive without labels.

    python studies/adapt.py [--steps 120] [-o runs/adapt]

The cataract photographs are split by the prefix of their names (the patient) into two halves. The
shipped weights are adapted to one half by the recipe `adapt`, once as it is and once without the
consistency losses; both and the shipped weights are measured on the other half: quality without a
reference, structure and fidelity, and on idrid/val_clean what they still do for synthetic pairs.
Writes studies/results/adapt.json. The adapted weights are for this experiment; none is shipped.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from magenet_batch.evaluation.evaluate import EvaluateOptions, evaluate

RESULTS = Path(__file__).parent / "results"
VARIANTS = {"consistency": (), "without": ("consistency.weight=0.0",)}


def halves(folder: Path, into: Path) -> tuple[Path, Path]:
    """Copies of the images in two folders; a patient's are all in one."""
    images = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".png"))
    prefixes = sorted({re.sub(r"\d.*", "", p.stem) for p in images})
    places = (into / "adapt", into / "measure")
    for place in places:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    for image in images:
        side = prefixes.index(re.sub(r"\d.*", "", image.stem)) % 2
        shutil.copyfile(image, places[side] / image.name)
    return places


def adapt(name: str, *, real: Path, folder: Path, changes: list[str]) -> Path:
    """Adapt by the command that a user would give; returns the weights."""
    told = [*changes, *VARIANTS[name], f"data.real={real}", f"run.output={folder}"]
    command = [sys.executable, "-m", "magenet_batch.cli.main", "train", "adapt"]
    for change in told:
        command += ["--set", change]
    subprocess.run(command, check=True)
    return folder / "adapted.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument(
        "--images", type=int, default=0, help="maximum number of images to measure; 0: all"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/adapt"))
    parser.add_argument("--result", type=Path, default=RESULTS / "adapt.json")
    told = parser.parse_args()
    if not told.data.is_dir():
        sys.exit(f"the photographs are not there: {told.data}; say where with --data")
    out = told.output.resolve()
    real, measured = halves(told.data / "cataract", out)
    changes = [f"schedule.steps={told.steps}", f"schedule.batch={told.batch}",
               f"consistency.batch={told.batch}"]  # fmt: skip
    weights = {
        name: adapt(name, real=real, folder=out / name, changes=changes) for name in VARIANTS
    }
    text = evaluate(
        EvaluateOptions(
            weights="affine", output=out / "evaluation", real=(measured,), images=told.images,
            clean=told.data / "idrid/val_clean", presets=("evaluation", "clean"), size=256,
            against=tuple(f"{name}={path}" for name, path in weights.items()),
        ),
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )  # fmt: skip
    print(text)
    summary = json.loads((out / "evaluation" / "summary.json").read_text(encoding="utf-8"))
    summary["adapted"] = {
        "changes": changes, "images": len(list(real.iterdir())),
        "measured": len(list(measured.iterdir())),
    }  # fmt: skip
    told.result.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
