"""Measure every gate of some weights, and print the verdicts as a table.

    python benchmarks/gates.py [--weights small] [--against WEIGHTS] [--images N]
        [--only macula,colour] [-o benchmarks/results/gates.json] [--markdown gates.md]

`--weights identity` measures doing nothing, `clahe` CLAHE and so on. With all photographs of --data
it takes about ten minutes on one core; `--only` selects gates. The result file has every value of
every image, so that the worst can be inspected. Real and bad photographs are judged as `--policy`
delivers them. The cost is compared with the weights of `--against`, timed in turns in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line sets it

import cv2
import gate_list  # noqa: F401 - registers the gates
import torch
from gate_bench import Bench, Restorer, check_data
from gate_registry import GATES, choose_gates, measured
from gate_table import overview, summary, table

from magenet_batch import __version__
from magenet_batch.errors import MagenetError
from magenet_batch.jobs.policy import POLICIES, choose_policy
from magenet_batch.settings import Look
from magenet_batch.storage import write_atomic


def facts_of(told: argparse.Namespace, bench: Bench) -> dict[str, Any]:
    return {
        "software": f"magenet {__version__}, torch {torch.__version__}, {platform.machine()}",
        "weights": bench.restorer.name, "hash": bench.restorer.hash,
        "against": bench.reference and bench.reference.name,
        "images": told.images or "all", "policy": told.policy,
        "threads": told.threads, "threads_of_cost": told.cost_threads,
        "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def write(path: Path, found: Mapping[str, Any]) -> None:
    """Write the result as JSON with one line for each image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = json.dumps({key: found[key] for key in ("facts", "gates")}, indent=1)
    groups = ",\n".join(
        f"  {json.dumps(group)}: {{\n{_lines(rows)}\n  }}"
        for group, rows in found["images"].items()
    )
    text = f'{head[:-2]},\n "images": {{\n{groups}\n }}\n}}\n'
    json.loads(text)
    write_atomic(path, text.encode())


def _lines(rows: Mapping[str, Any]) -> str:
    def short(value: Any) -> Any:
        return round(value, 5) if isinstance(value, float) else value

    return ",\n".join(
        f"   {json.dumps(image)}: {json.dumps({key: short(v) for key, v in row.items()})}"
        for image, row in rows.items()
    )


def parse(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"gates: {', '.join(GATES)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", default="small", help="name, file, or a classical method")
    parser.add_argument("--look", choices=get_args(Look), default="natural")
    parser.add_argument("--against", default="", help="weights whose cost is the reference")
    parser.add_argument(
        "--images", type=int, default=0, help="maximum number of images per folder; 0 for all"
    )
    parser.add_argument("--only", default="", help="names of gates, separated by commas")
    parser.add_argument("--policy", choices=POLICIES, default="standard")
    parser.add_argument(
        "--threads", type=int, default=1, help="number of threads, except for the cost"
    )
    parser.add_argument("--cost-threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, help="result file, JSON")
    parser.add_argument("--markdown", type=Path, help="file for the table")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    told = parse(words)
    start = time.perf_counter()
    try:
        check_data(told.data)
        wanted = choose_gates(told.only)
        cv2.setNumThreads(told.threads)
        reference = Restorer(told.against, threads=told.threads) if told.against else None
        bench = Bench(
            Restorer(told.weights, threads=told.threads, look=told.look),
            told.data, images=told.images,
            policy=choose_policy(told.policy), reference=reference,
            cost_threads=told.cost_threads,
            say=lambda line: print(
                f"{time.perf_counter() - start:5.0f} s  {line}", file=sys.stderr, flush=True
            ),
        )  # fmt: skip
        gates = {one.name: measured(one, bench) for one in wanted}
    except MagenetError as error:
        sys.exit(str(error))
    taken = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time()}
    facts = facts_of(told, bench) | {name: round(value) for name, value in taken.items()}
    note = ", ".join(f"{key} {value}" for key, value in facts.items() if value is not None)
    text = f"{summary(gates)}\n\n{note}\n\n{overview(gates)}\n\n{table(gates)}\n"
    print(text)
    if told.markdown:
        told.markdown.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(told.markdown, text.encode())
    if told.output:
        write(told.output, {"facts": facts, "gates": gates, "images": bench.groups})


if __name__ == "__main__":
    main()
