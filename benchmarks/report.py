"""The cost of a report: seconds, memory and bytes, for a small archive and for a million rows.

    python benchmarks/report.py [--rows 1000000] [-o benchmarks/results/report.json]

Rows are synthetic with all columns filled, with the number of rows per file that a job of that size
writes. The small archive has pictures for its rows; the large one has none, as after a move. Each
report is made by its own process, as by the command line: wall time, CPU time and peak memory of
that process, including its start. The small one runs three times, and the fastest counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from magenet_batch.jobs.plan.shards import shard_size_for
from magenet_batch.phantom import make_phantom
from magenet_batch.records.schema import FIDELITY_MEASURES, QUALITY_MEASURES, row_schema
from magenet_batch.records.vocabulary import GRADES

SMALL = 200
SIZE = (2048, 1536)
EXTRA = pa.schema([("camera", pa.string()), ("site", pa.string()), ("patient", pa.string())])
REPEATS = 3


def make_block(rng: np.random.Generator, *, rows: int, start: int, pictures: int) -> pa.Table:
    """Rows `start` to `start + rows` of an archive of 40 sites and 5 cameras."""
    number = np.arange(start, start + rows)
    site = number // 500 % 40
    status = rng.choice(["enhanced", "kept", "failed"], rows, p=[0.72, 0.25, 0.03])
    done, failed = status == "enhanced", status == "failed"
    before = rng.choice(3, rows, p=[0.3, 0.5, 0.2])
    after = np.where(done, np.maximum(before - rng.integers(0, 2, rows), 0), before)
    pairs = list(zip(site, number, strict=True))
    name = [f"site_{s:02d}/{2015 + s % 8}/image_{n:07d}.jpg" for s, n in pairs]
    shown = [f"images/{n % pictures:02d}.jpg" for n in number] if pictures else name
    columns: dict[str, object] = {
        "image_id": name,
        "source": [f"archive/{i}" for i in shown] if pictures else [f"/gone/{i}" for i in name],
        "output": pa.array(shown, mask=failed),
        "bytes": rng.integers(200_000, 4_000_000, rows),
        "width": np.full(rows, 2048), "height": np.full(rows, 1536),
        "format": np.full(rows, "jpeg"), "bit_depth": np.full(rows, 8),
        "status": status,
        "reason": np.where(failed, "corrupt", np.where(done, None, "good")),
        "message": np.where(failed, "ends after 1,024 of 88,131 bytes", None),
        "grade_before": pa.array(np.array(GRADES)[before], mask=failed),
        "grade_after": pa.array(np.array(GRADES)[after], mask=~done),
        "policy": np.full(rows, '{"deliver": "auto", "fidelity_min": 0.5}'),
        "flags": [["new_vessels"] if f else [] for f in done & (rng.random(rows) < 0.05)],
        "weights": np.full(rows, "small"), "weights_hash": np.full(rows, "0123456789abcdef"),
        "version": np.full(rows, "0.1.0"),
        "camera": np.array(["A", "B", "C", "D", "E"])[number % 5],
        "site": [f"site {s}" for s in site],
        "patient": [f"p{n // 2}" for n in number],
    }  # fmt: skip
    for grade in GRADES:
        columns[f"{grade}_before"] = pa.array(rng.random(rows), mask=failed)
        columns[f"{grade}_after"] = pa.array(rng.random(rows), mask=~done)
    for measure in QUALITY_MEASURES:
        value = rng.beta(2, 5, rows)
        columns[f"{measure}_before"] = pa.array(value, mask=failed)
        columns[f"{measure}_after"] = pa.array(np.clip(value + 0.1, 0, 1), mask=~done)
    for measure in FIDELITY_MEASURES:
        columns[measure] = pa.array(rng.beta(6, 2, rows), mask=~done)
    for stage, mean in (("read_s", 0.05), ("enhance_s", 0.4), ("measure_s", 0.2), ("write_s", 0.1)):
        columns[stage] = pa.array(rng.gamma(4, mean / 4, rows), mask=failed)
    schema = row_schema(EXTRA)
    nothing = pa.nulls(rows)
    return pa.table(
        [pa.array(columns.get(f.name, nothing), from_pandas=True).cast(f.type) for f in schema],
        schema=schema,
    )


def make_out(out: Path, *, rows: int, pictures: int = 0) -> int:
    """An output folder with rows and pictures; returns the number of files."""
    (out / "rows").mkdir(parents=True)
    per_file, block = shard_size_for(rows), 50_000
    for start in range(0, rows, block):
        rng = np.random.default_rng(start)
        table = make_block(rng, rows=min(block, rows - start), start=start, pictures=pictures)
        for place in range(0, table.num_rows, per_file):
            part = (start + place) // per_file
            path = out / "rows" / f"part-{part:06d}.parquet"
            pq.write_table(table.slice(place, per_file), path, compression="zstd")
    phantoms = [Image.fromarray(make_phantom(seed, size=384).pixels) for seed in range(3)]
    for folder in (out / "images", out / "archive" / "images"):
        folder.mkdir(parents=True)
        for index in range(pictures):
            # Enlarged, so that drawing costs little: only the size of the files matters.
            picture = phantoms[index % 3].rotate(10 * index).resize((SIZE[0], SIZE[0]))
            picture.crop((0, 0, *SIZE)).save(folder / f"{index:02d}.jpg", quality=92)
    run = {"command": ["magenet", "enhance", "/archive"], "seconds": rows * 0.4}
    (out / "run.json").write_text(json.dumps({"identity": {}, "runs": [run]}))
    return len(list((out / "rows").iterdir()))


def measure(out: Path) -> dict[str, float]:
    """Make the report in a separate process."""
    command = [sys.executable, "-m", "magenet_batch.cli.main", "report", str(out)]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=out, stdout=subprocess.DEVNULL,
                               env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return {
        "seconds": wall,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
        "megabytes": (out / "report.html").stat().st_size / 1e6,
    }


def main() -> None:
    """Measure both, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/report.json"))
    args = parser.parse_args()
    results: dict[str, object] = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
    }
    for name, rows, pictures in (("small", SMALL, 24), ("large", args.rows, 0)):
        with tempfile.TemporaryDirectory() as folder:
            files = make_out(Path(folder) / "out", rows=rows, pictures=pictures)
            repeats = REPEATS if rows == SMALL else 1
            runs = [measure(Path(folder) / "out") for _ in range(repeats)]
        best = min(runs, key=lambda run: run["seconds"])
        results[name] = {"rows": rows, "files": files, **{k: round(v, 2) for k, v in best.items()}}
        print(name, json.dumps(results[name]), flush=True)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
