"""What the parts of the network and of its training are worth, each on the same budget.

    python studies/ablation.py [--steps 350] [--structure weights.safetensors] [-o runs/ablation]
    python studies/ablation.py --only complete,"plain U-Net" --minutes 20 \\
        -o runs/scratch --result studies/results/scratch.json

Every variant is trained from scratch by its recipe for the same number of steps on the same
batches, and measured on the validation images of training (idrid/val_clean at 256 px, preset
`evaluation`). With one seed each, differences of a few tenths of a decibel are noise. A finished
run is not repeated; an interrupted one is resumed. The second command gives minutes instead of
steps: it shows what a user gets in that time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "complete": ("affine", ()),
    "two stages": ("affine", ("model.stages=2",)),
    "one stage": ("single_stage", ()),
    "without attention": ("affine", ("model.attention=false", "model.supervised_attention=false")),
    "without structure module": ("affine", ("model.structure=false",)),
    "without consistency": ("affine", ("consistency.weight=0.0",)),
    "without statistics": ("affine", ("model.statistics=false",)),
    "plain U-Net": ("unet", ()),
}
"""Name -> recipe, and what is changed in it."""
SHOWN = ("psnr_gain", "ssim_degraded", "ssim_enhanced", "psnr_clean", "ssim_clean")


def train(name: str, *, folder: Path, changes: list[str]) -> None:
    """Train a variant, or resume it, with the command of a user."""
    recipe, own = VARIANTS[name]
    told = [*changes, *own, f"run.output={folder}"]
    command = [sys.executable, "-m", "magenet_batch.cli.main", "train", recipe]
    for change in told:
        command += ["--set", change]
    subprocess.run(command, check=True)


def curves(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "curves.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def validated(folder: Path) -> dict[str, float]:
    """The last validation of a run."""
    return [row for row in curves(folder) if row["group"] == "validation"][-1]


def finished(folder: Path) -> bool:
    """Whether a run has come to its end, which leaves a card."""
    return bool(list(folder.glob("*.md")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--steps", type=int, default=350)
    parser.add_argument("--minutes", type=float, default=0.0, help="instead of --steps")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--structure", default="", help="weights of a trained structure module")
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--result", type=Path, default=RESULTS / "ablation.json")
    told = parser.parse_args()
    if not told.data.is_dir():
        sys.exit(f"the photographs are not there: {told.data}; say where with --data")
    budget = {"minutes": told.minutes} if told.minutes else {"steps": told.steps}
    changes = [f"data.root={told.data.resolve()}", f"run.threads={told.threads}"]
    changes += [f"schedule.{unit}={value}" for unit, value in budget.items()]
    if told.structure:
        changes.append(f"structure.weights={Path(told.structure).resolve()}")
    found = {}
    for name in told.only.split(",") if told.only else VARIANTS:
        folder = told.output.resolve() / name.replace(" ", "_")
        if not finished(folder):
            train(name, folder=folder, changes=changes)
        seen = validated(folder)
        found[name] = {"steps": seen["step"], **{key: seen[key] for key in SHOWN}}
        print(f"{name:26s}", *(f"{key} {seen[key]:.4g}" for key in SHOWN), flush=True)
        told.result.write_text(
            json.dumps({"budget": budget, "variants": found}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
