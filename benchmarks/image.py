"""From JPEG to JPEG at 12 megapixels: seconds, CPU seconds and peak memory, step by step.

    python benchmarks/image.py [--threads 2] [-o benchmarks/results/image.json]

One image goes through the function that a job's workers call, in a process of its own for each
case: a photograph in which nothing is wrong, and one on which every stage of the network works
(blurred, veiled, noisy and compressed); the second one also with freed memory returned to the
system, with the weights `base`, and with `affine`, which were the default before. The cases take
turns, and the fastest run of each step counts. CPU seconds are those of the process over all
threads: on a busy machine they are more reliable. Peak memory is that of the process, which has
read and written several images. The photographs are phantoms of 4288 x 2848 pixels with the field
of view cut at top and bottom, as from the most common cameras; `--image` uses another. The decoders
are compared on the same bytes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from memory import peak_mib
from PIL import Image

from magenet_batch.models.catalog import read_weights_file
from magenet_batch.phantom import make_phantom

WIDTH, HEIGHT = 4288, 2848
TIMES, TURNS = 4, 2
STEPS = ("read, decode, measure", "network", "measure, encode, write")
Cost = dict[str, float]
Case = tuple[str, str, str, bool]
"""Label, photograph, weights, and whether freed memory is kept."""
CASES: tuple[Case, ...] = (
    ("nothing wrong", "good", "small", True),
    ("every stage works", "faulty", "small", True),
    ("memory given back", "faulty", "small", False),
    ("weights `base`", "faulty", "base", True),
    ("weights `affine`", "faulty", "affine", True),
)


def photograph(kind: str) -> bytes:
    """A phantom with camera-like texture as JPEG, `good` or `faulty`."""
    small = make_phantom(3, size=860).pixels
    large = cv2.resize(small, (3440, 3440), interpolation=cv2.INTER_CUBIC)
    full = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    left, cut = (WIDTH - 3440) // 2, (3440 - HEIGHT) // 2
    full[:, left : left + 3440] = large[cut : cut + HEIGHT]
    lit = cv2.erode((full.max(2) > 20).astype(np.uint8), np.ones((9, 9)))[..., None]
    if kind == "faulty":
        full = 0.7 * cv2.GaussianBlur(full, (0, 0), 6) + 60 * lit
    noise = np.random.default_rng(0).normal(0, 12 if kind == "faulty" else 2, full.shape)
    pixels = np.clip(full + noise * lit, 0, 255).astype(np.uint8)
    quality = 75 if kind == "faulty" else 92
    return simplejpeg.encode_jpeg(pixels, quality=quality, colorsubsampling="422")


def timed(work: Callable[[], Any], costs: list[Cost]) -> Any:
    """Do some work, and note what it costs."""
    start, used = time.perf_counter(), time.process_time()
    result = work()
    costs.append({
        "seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - used
    })  # fmt: skip
    return result


def fastest(costs: list[Cost]) -> Cost:
    return {key: min(one[key] for one in costs) for key in ("seconds", "cpu_seconds")}


def decoders(data: bytes) -> dict[str, Cost]:
    """Decoders that could read a JPEG."""
    import imagecodecs

    raw = np.frombuffer(data, np.uint8)
    ways: dict[str, Callable[[], Any]] = {
        "Pillow": lambda: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")),
        "OpenCV": lambda: cv2.imdecode(raw, cv2.IMREAD_COLOR_RGB),
        "simplejpeg": lambda: simplejpeg.decode_jpeg(data, strict=True),
        "imagecodecs": lambda: imagecodecs.jpeg8_decode(data),
        "simplejpeg, at a quarter": lambda: simplejpeg.decode_jpeg(
            data, min_height=HEIGHT // 4, min_width=WIDTH // 4, min_factor=4
        ),
    }
    found: dict[str, Cost] = {}
    for name, work in ways.items():
        costs: list[Cost] = []
        for _ in range(TIMES):
            timed(work, costs)
        found[name] = fastest(costs)
    return found


def measure(path: str, *, weights: str, threads: int, keep: bool) -> dict[str, Any]:
    """All steps of one image, in this process."""
    from magenet_batch.inference.enhancer import Enhancer
    from magenet_batch.jobs.options import JobOptions
    from magenet_batch.jobs.plan.plan import Task
    from magenet_batch.jobs.work.process import ImageProcessor
    from magenet_batch.models.memory import keep_freed_memory

    cv2.setNumThreads(threads)
    if keep:
        keep_freed_memory()
    costs: dict[str, list[Cost]] = {step: [] for step in STEPS}
    with tempfile.TemporaryDirectory() as out:
        processor = ImageProcessor(
            Enhancer.load(weights, device="cpu", threads=threads), out=Path(out),
            image_options=JobOptions(archive=("none",), policy="all").image_options,
        )  # fmt: skip
        task = Task("image.jpg", path, "images/image.jpg")
        for _ in range(TIMES):
            first, second, third = costs.values()
            work = timed(lambda: processor.load(task), first)
            timed(lambda work=work: processor.compute(work), second)
            row = timed(lambda work=work: processor.finish(work), third)
            assert row["status"] == "enhanced", row
    return {"steps": {step: fastest(some) for step, some in costs.items()}, "peak_mib": peak_mib()}


def apart(path: Path, case: Case, *, threads: int) -> dict[str, Any]:
    """Measure in a separate process, with its own memory and peak."""
    _, _, weights, keep = case
    command = [sys.executable, __file__, "--here", "--threads", str(threads)]
    command += ["--weights", weights, "--image", str(path), *([] if keep else ["--no-keep"])]
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ  # as the command line sets it
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def joined(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The fastest of several processes for each step, their sum, and the greatest memory."""
    steps = {step: fastest([run["steps"][step] for run in runs]) for step in STEPS}
    total = {
        key: sum(one[key] for one in steps.values()) for key in ("seconds", "cpu_seconds")
    }  # fmt: skip
    return {"steps": steps, "total": total, "peak_mib": max(run["peak_mib"] for run in runs)}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--weights", default="small", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--no-keep", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


def main() -> None:
    told = parse()
    if told.here:
        found = measure(
            str(told.image), weights=told.weights, threads=told.threads, keep=not told.no_keep
        )
        print(json.dumps(found))
        return
    load = os.getloadavg()[0]
    runs: dict[str, list[dict[str, Any]]] = {case[0]: [] for case in CASES}
    with tempfile.TemporaryDirectory() as name:
        paths = {kind: Path(name) / f"{kind}.jpg" for kind in ("good", "faulty")}
        for kind, path in paths.items():
            path.write_bytes(told.image.read_bytes() if told.image else photograph(kind))
        for _ in range(TURNS):
            for case in CASES:
                runs[case[0]].append(apart(paths[case[1]], case, threads=told.threads))
        compared = decoders(paths["good"].read_bytes())
    found = {
        "threads": told.threads, "load": load, "small": read_weights_file("small").hash,
        "decoders": compared,
        "cases": {label: joined(some) for label, some in runs.items()},
    }  # fmt: skip
    for label, one in found["cases"].items():
        for step, cost in (*one["steps"].items(), ("in all", one["total"])):
            print(f"{label}: {step:24s} {cost['seconds']:7.3f} s {cost['cpu_seconds']:7.3f} of CPU")
        print(f"{label}: {one['peak_mib']:.0f} MiB", flush=True)
    if told.output:
        told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
