"""Simulate jobs under random schedules: engine, ledger, lock and lease in a world without mercy.

    python tools/simulate.py --steps 1000000 --seed 1 [--store conditional plain lagging]
        [-o tools/results/simulation.json]

Several hosts run the true engine, ledger and locks against a simulated store, with a clock that no
one waits for. Requests are lost, delayed, reordered and repeated; hosts stop and continue;
processes die; workers are taken for dead and work on; clocks disagree. `simulation/run.py` says
what is checked. A schedule that breaks a promise is shrunk and printed with its seed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from simulation.run import run
from simulation.schedule import STORES, Schedule, Store, draw, shrink


def simulate(*, steps: int, seed: int, stores: list[Store]) -> dict[str, Any]:
    """Run random schedules.

    Args:
        steps: number of steps after which no further schedule starts.
        seed: decides the schedules.
        stores: kinds of stores, in turn.

    Returns:
        Numbers, and the first schedule that broke a promise, shrunk.
    """
    done, schedules, commands = 0, 0, Counter[str]()
    broken: dict[str, Any] | None = None
    while done < steps and broken is None:
        schedule = draw(f"{seed}-{schedules}", stores[schedules % len(stores)])
        result = run(schedule)
        done, schedules = done + result.steps, schedules + 1
        commands.update(result.commands)
        if result.broken:
            small = shrink(schedule, _breaks)
            broken = {"promise": run(small).broken, "schedule": small.text()}
    return {
        "seed": seed, "stores": stores, "steps": done, "schedules": schedules,
        "commands": dict(sorted(commands.items())), "broken": broken,
    }  # fmt: skip


def _breaks(schedule: Schedule) -> bool:
    return run(schedule).broken is not None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", nargs="+", choices=STORES, default=list(STORES))
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    began = time.monotonic()
    found = simulate(steps=given.steps, seed=given.seed, stores=given.store)
    found["seconds"] = round(time.monotonic() - began, 1)
    print(f"seed {given.seed}: {found['steps']} steps of {found['schedules']} schedules in "
          f"{found['seconds']:.0f} s; commands {found['commands']}")  # fmt: skip
    if found["broken"]:
        print(f"broken: {found['broken']['promise']}\n{found['broken']['schedule']}")
    if given.output:
        given.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.exit(found["broken"] is not None)


if __name__ == "__main__":
    main()
