"""Compare new benchmark results with the committed ones, and report what got worse.

    python benchmarks/check.py benchmarks/results studies/results /tmp/new

All folders hold files as benchmarks and studies write them; the last has the new ones. Quality: a
mean that is worse by more than its tolerance. Ratios of jobs: one that fell by more than a fifth.
Absolute times are not compared, because they depend on the machine. Exits with 1 if anything got
worse.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# measure -> (1: higher is better, -1: lower is better; tolerance)
MEASURES = {
    "psnr": (1, 0.1), "ssim": (1, 0.003), "ms_ssim": (1, 0.003), "auc": (1, 0.003),
    "iou": (1, 0.01), "structure_agreement": (1, 0.01), "vessel_new": (-1, 0.01),
    "vessel_lost": (-1, 0.01),
}  # fmt: skip
RATIO_FALL = 0.2  # tolerance: two idle runs of the same code differed by 0.16


def quality(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Means of our method that got worse."""
    for part, presets in before["numbers"].items():
        for preset, methods in presets.items():
            for measure, old in methods.get("magenet", {}).items():
                new = now["numbers"].get(part, {}).get(preset, {}).get("magenet", {}).get(measure)
                where = f"{part}, {preset}: {measure}"
                if new is None:
                    yield f"{where} is missing"
                    continue
                if measure not in MEASURES:
                    continue
                sign, noise = MEASURES[measure]
                if sign * (old["value"] - new["value"]) > noise:
                    yield f"{where} {old['value']:.4g} -> {new['value']:.4g}"


def ratios(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Ratios within one run that got worse."""
    for name, old in before.get("ratios", {}).items():
        new = now.get("ratios", {}).get(name)
        if new is None:
            yield f"{name} is missing"
        elif new < (1 - RATIO_FALL) * old:
            yield f"{name} {old:.2f} -> {new:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path, nargs="+")
    parser.add_argument("now", type=Path)
    arguments = parser.parse_args()
    worse: list[str] = []
    compared = 0
    for path in sorted(arguments.now.glob("*.json")):
        committed = next((f for b in arguments.before if (f := b / path.name).is_file()), None)
        if committed is None:
            continue
        before, now = (json.loads(p.read_text(encoding="utf-8")) for p in (committed, path))
        compared += 1
        worse += [
            f"{path.stem}: {line}"
            for line in (quality(before, now) if "numbers" in before else ratios(before, now))
        ]
    print("\n".join(worse) if worse else f"nothing got worse ({compared} files compared)")
    sys.exit(1 if worse or not compared else 0)


if __name__ == "__main__":
    main()
