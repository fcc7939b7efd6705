"""Back ends for the network on one thread of this processor.

    pip install -e '.[backends]'
    python benchmarks/backends.py [--pairs 15] [-o benchmarks/results/backends.json]

The two parts that take most of the time at 512 px, the structure module and the sensor stage, with
the shipped weights: PyTorch as the product runs it (float32, channels last), in other layouts and
precisions, traced and frozen, and compiled; OpenVINO and ONNX Runtime, in float32, bf16 and 8 bits
(static: scales from two phantoms; dynamic: scales from every image). Each runs in turns with
PyTorch as the product runs it; the ratio is the median over the pairs, of CPU seconds: above 1, the
back end is faster. The error is the largest difference from PyTorch over an image, in units of
1/255. OpenVINO and ONNX Runtime include the copies of their inputs and outputs.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from backend_engines import onnx_runtime, openvino, quantised, saved
from gpu_network import make, photograph

from magenet_batch.models.memory import keep_freed_memory
from magenet_batch.models.restoration.network import Restorer

SIZE = 512
EIGHT_BITS = ("structure module",)
"""Parts that are tried in 8 bits; the errors there are so large that no other part is."""
Run = Callable[[], torch.Tensor]


class Vessels(torch.nn.Module):
    """The structure module: an image to the probability of vessel."""

    def __init__(self, network: Restorer) -> None:
        super().__init__()
        assert network.structure is not None
        self.structure = network.structure

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.structure(x).logits.float())


class Undone(torch.nn.Module):
    """The sensor stage with its bands: an image to the same without blur, noise and compression."""

    def __init__(self, network: Restorer) -> None:
        super().__init__()
        assert network.sensor is not None
        self.sensor = network.sensor

    def forward(
        self,
        x: torch.Tensor,
        vessels: torch.Tensor,
        matrices: torch.Tensor,
        condition: torch.Tensor,
    ) -> torch.Tensor:
        from magenet_batch.models.restoration.sense import Sensed

        none = condition[:, 0]
        return self.sensor(x, Sensed(matrices, condition, none, none, none, condition), vessels)


def parts(network: Restorer) -> dict[str, tuple[torch.nn.Module, list[torch.Tensor]]]:
    """Each part with its inputs for one phantom."""
    x = torch.from_numpy(photograph(SIZE)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        sensed = network.sensed(x, torch.ones(1, 1, SIZE, SIZE))
        vessels = network.vessels(x)
    assert vessels is not None
    given = [x, vessels, sensed.matrices, sensed.condition]
    return {
        "structure module": (Vessels(network).eval(), [x]),
        "sensor stage": (Undone(network).eval(), [t.clone() for t in given]),
    }


def torch_engines(part: torch.nn.Module, given: list[torch.Tensor]) -> dict[str, Callable[[], Run]]:
    """What PyTorch offers; each entry prepares one."""
    laid = part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def frozen() -> Run:
        with torch.no_grad():
            traced = torch.jit.trace(laid, given, check_trace=False)
            ready = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
        return lambda: ready(*given)

    def bf16() -> Run:
        def run() -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return laid(*given).float()

        return run

    def contiguous() -> Run:
        import copy

        other = copy.deepcopy(part).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        return lambda: other(*given)

    return {
        "PyTorch, contiguous weights": contiguous,
        "PyTorch, traced and frozen": frozen,
        "PyTorch, bf16": bf16,
    }


def in_turns(run: Run, reference: Run, *, pairs: int) -> dict[str, float]:
    """CPU milliseconds of both, and the median ratio of the pairs."""
    used: dict[str, list[float]] = {"ms": [], "reference_ms": []}
    run(), reference()
    for turn in range(pairs):
        order = [("ms", run), ("reference_ms", reference)]
        for name, work in reversed(order) if turn % 2 else order:
            start = time.process_time()
            work()
            used[name].append(1000 * (time.process_time() - start))
    ratios = np.divide(used["reference_ms"], used["ms"])
    return {name: float(min(values)) for name, values in used.items()} | {
        "faster": float(np.median(ratios))
    }


def compiled_here(name: str, *, pairs: int) -> dict[str, float]:
    """Compile a part in this process."""
    part, given = parts(make("small", "small"))[name]
    laid = part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.inference_mode():
        start = time.perf_counter()
        ready = torch.compile(laid, dynamic=False)
        off = 255 * float((ready(*given) - laid(*given)).abs().max())
        seconds = time.perf_counter() - start
        found = in_turns(lambda: ready(*given), lambda: laid(*given), pairs=pairs)
    return {**found, "off": off, "prepare_s": seconds}


def compiled(name: str, told: argparse.Namespace) -> dict[str, Any]:
    """The same in a process of its own, which is stopped when it takes too long."""
    command = [sys.executable, __file__, "--compile", name, "--pairs", str(told.pairs)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=told.compile_s)
    except subprocess.TimeoutExpired:
        return {"error": f"did not finish compiling within {told.compile_s} s"}
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1][:200]}
    return json.loads(done.stdout.splitlines()[-1])


def measure(
    part: torch.nn.Module, given: list[torch.Tensor], *, pairs: int, eight_bits: bool
) -> dict[str, Any]:
    """All back ends of one part."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "part.onnx"
        saved(part, given, model)
        arrays = [t.numpy() for t in given]
        engines = torch_engines(part, given) | {
            "OpenVINO, float32": lambda: openvino(model, arrays, precision="f32"),
            "OpenVINO, bf16": lambda: openvino(model, arrays, precision="bf16"),
            "ONNX Runtime, float32": lambda: onnx_runtime(model, arrays),
        }
        if eight_bits:
            engines |= {
                "OpenVINO, 8 bits": lambda: openvino(
                    quantised(model, arrays, static=True), arrays, precision="f32"
                ),
                "ONNX Runtime, 8 bits, dynamic": lambda: onnx_runtime(
                    quantised(model, arrays, static=False), arrays
                ),
                "ONNX Runtime, 8 bits, static": lambda: onnx_runtime(
                    quantised(model, arrays, static=True), arrays
                ),
            }
        for name, prepare in engines.items():
            with torch.inference_mode():
                wanted = part(*given)
                try:
                    start = time.perf_counter()
                    run = prepare()
                    off = 255 * float((run() - wanted).abs().max())
                    seconds = time.perf_counter() - start
                    found[name] = in_turns(run, lambda: part(*given), pairs=pairs)
                    found[name] |= {"off": off, "prepare_s": seconds}
                except Exception as error:
                    found[name] = {"error": f"{type(error).__name__}: {error}"[:200]}
            print(f"{name:34s} {found[name]}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--compile", help=argparse.SUPPRESS)
    parser.add_argument("--compile-s", type=int, default=420, help="stop compiling after this")
    parser.add_argument("-o", "--output", type=Path)
    told = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    if told.compile:
        print(json.dumps(compiled_here(told.compile, pairs=told.pairs)))
        return
    network = make("small", "small")
    found: dict[str, Any] = {"facts": {
        "torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(), "load": os.getloadavg()[0], "size": SIZE,
    }}  # fmt: skip
    for name, (part, given) in parts(network).items():
        print(f"\n== {name}")
        found[name] = measure(part, given, pairs=told.pairs, eight_bits=name in EIGHT_BITS)
        if told.compile_s:
            found[name]["PyTorch, compiled"] = compiled(name, told)
            print(f"{'PyTorch, compiled':34s} {found[name]['PyTorch, compiled']}")
        if told.output:
            told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
