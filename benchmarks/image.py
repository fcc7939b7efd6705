"""Where the time goes in one 12-megapixel JPEG: every step, on one processor, and peak memory.

    python benchmarks/image.py [--threads 2] [--weights small] [-o benchmarks/results/image.json]

The picture is a phantom of 4288 x 2848 pixels with the field of view cut at top and bottom, as from
the most common cameras; `--image` uses another. The decoders are compared on the same bytes. The
network is timed with freed memory kept and, in its own process, returned (`--no-keep`); so is
`base`, with untrained weights, which take as long. Every step runs three times, and the fastest
counts. CPU seconds are those of the process over all threads: on a busy machine they are more
reliable.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
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
import torch
from PIL import Image

from magenet_batch.imaging.fov import find_fov
from magenet_batch.imaging.metadata import Provenance
from magenet_batch.imaging.read import read_image
from magenet_batch.imaging.write import encode_image
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.models.build import build_network
from magenet_batch.models.config import magenet_config
from magenet_batch.models.memory import keep_freed_memory
from magenet_batch.models.weights import save_weights
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.fidelity import measure_fidelity
from magenet_batch.quality.grade import assess_quality

WIDTH, HEIGHT = 4288, 2848
TIMES = 3
Parts = dict[str, dict[str, float]]


def picture() -> bytes:
    """A phantom with camera-like texture as JPEG, quality 92."""
    small = make_phantom(3, size=860).pixels
    large = cv2.resize(small, (3440, 3440), interpolation=cv2.INTER_CUBIC)
    full = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    left, cut = (WIDTH - 3440) // 2, (3440 - HEIGHT) // 2
    full[:, left : left + 3440] = large[cut : cut + HEIGHT]
    noise = np.random.default_rng(0).normal(0, 2, full.shape)
    lit = cv2.erode((full.max(2) > 20).astype(np.uint8), np.ones((9, 9)))[..., None]
    grainy = np.clip(full + noise * lit, 0, 255).astype(np.uint8)
    return simplejpeg.encode_jpeg(grainy, quality=92, colorsubsampling="422")


def timed(parts: Parts, name: str, work: Callable[[], Any]) -> Any:
    """Run some work three times and record the fastest; return its result."""
    seconds, cpu = [], []
    for _ in range(TIMES):
        start, used = time.perf_counter(), time.process_time()
        result = work()
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    parts[name] = {"seconds": min(seconds), "cpu_seconds": min(cpu)}
    return result


def decoders(data: bytes, parts: Parts) -> None:
    """Other decoders that could read a JPEG."""
    raw = np.frombuffer(data, np.uint8)
    timed(parts, "decode, Pillow", lambda: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    timed(parts, "decode, OpenCV", lambda: cv2.imdecode(raw, cv2.IMREAD_COLOR_RGB))
    timed(parts, "decode, simplejpeg", lambda: simplejpeg.decode_jpeg(data, strict=True))
    imagecodecs = __import__("imagecodecs")
    timed(parts, "decode, imagecodecs", lambda: imagecodecs.jpeg8_decode(data))
    timed(
        parts, "decode at a quarter, simplejpeg",
        lambda: simplejpeg.decode_jpeg(
            data, min_height=HEIGHT // 4, min_width=WIDTH // 4, min_factor=4
        ),
    )  # fmt: skip


def measure(data: bytes, *, weights: str, threads: int, keep: bool) -> dict[str, Any]:
    """All steps of one image, in this process."""
    if keep:
        keep_freed_memory()
    parts: Parts = {}
    image = timed(parts, "read (hash, decode)", lambda: read_image(data))
    fov = timed(parts, "field of view", lambda: find_fov(image.pixels))
    assert fov is not None
    timed(parts, "quality, grade", lambda: assess_quality(image.pixels, fov))
    network = Enhancer.load(weights, device="cpu", threads=threads)
    done = timed(parts, "network", lambda: network.enhance(image.pixels, fov))
    timed(
        parts, "quality and grade after, fidelity",
        lambda: (
            assess_quality(done.pixels, fov),
            measure_fidelity(
                image.pixels, done.pixels, fov,
                vessels_before=done.vessels_before, vessels_after=done.vessels_after,
            ),
        ),
    )  # fmt: skip
    told = Provenance("benchmark", "0")
    timed(
        parts, "encode",
        lambda: encode_image(
            done.pixels, like=image, metadata="keep", format="jpeg", provenance=told
        ),
    )  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = {
        kind: sum(part[kind] for part in parts.values()) for kind in ("seconds", "cpu_seconds")
    }
    if keep:
        decoders(data, parts)
    return {"parts": parts, "total": total, "peak_mib": peak}


def apart(arguments: argparse.Namespace, weights: str, *flags: str) -> dict[str, Any]:
    """Measure in a separate process, with its own memory and peak."""
    command = [sys.executable, __file__, "--here", "--threads", str(arguments.threads)]
    command += ["--weights", weights, *flags]
    if arguments.image:
        command += ["--image", str(arguments.image)]
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ  # as the command line sets it
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def untrained(size: str, folder: str) -> str:
    """Untrained weights: they take as long as others."""
    path = Path(folder) / f"{size}.safetensors"
    save_weights(build_network(magenet_config(size)), path, name=size, notes={})
    return str(path)


def show(found: dict[str, Any]) -> None:
    for name, part in found["parts"].items():
        print(f"{name:34s} {part['seconds']:7.3f} s {part['cpu_seconds']:7.3f} s of CPU")
    total = found["total"]
    print(f"{'all, one after another':34s} {total['seconds']:7.3f} s {total['cpu_seconds']:7.3f} s "
          f"of CPU, {found['peak_mib']:.0f} MiB")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--weights", default="small")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--here", action="store_true", help="measure in this process")
    parser.add_argument("--no-keep", action="store_true", help="give freed memory back")
    parser.add_argument("-o", "--output", type=Path)
    told = parser.parse_args()
    if told.here:
        torch.set_num_threads(told.threads)
        data = told.image.read_bytes() if told.image else picture()
        found = measure(data, weights=told.weights, threads=told.threads, keep=not told.no_keep)
        print(json.dumps(found))
        return
    found = {"threads": told.threads, "weights": told.weights, **apart(told, told.weights)}
    found["memory_given_back"] = apart(told, told.weights, "--no-keep")["parts"]["network"]
    with tempfile.TemporaryDirectory() as folder:
        base = apart(told, untrained("base", folder))
    found["base"] = {key: base[key] for key in ("total", "peak_mib")}
    show(found)
    print(f"{'network, memory given back':34s} {found['memory_given_back']['seconds']:7.3f} s "
          f"{found['memory_given_back']['cpu_seconds']:7.3f} s of CPU")  # fmt: skip
    print(f"{'the same with base':34s} {base['total']['seconds']:7.3f} s "
          f"{base['total']['cpu_seconds']:7.3f} s of CPU, {base['peak_mib']:.0f} MiB")  # fmt: skip
    if told.output:
        told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
