"""The least time that the stages of the network can take on one thread of this processor.

    python benchmarks/roofline.py [-o benchmarks/results/roofline.json]

Measured twice, each in a process of its own: with the instructions that the processor has, and with
AVX2 alone, as on processors without AVX-512.

For every operation of a stage at 512 px, as PyTorch runs it: the time that its arithmetic takes at
the best rate of a large product or convolution, or the time that reading its inputs and writing its
output takes at the rate of a copy of one image, which stays in the cache, whichever is longer. The
share is the sum of these over the CPU time that was measured, the fastest of many runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
import torch.nn.functional as F
from gpu_network import make, photograph, stages
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from magenet_batch.models.memory import keep_freed_memory

SIZE = 512
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}  # fmt: skip
"""What restricts PyTorch and its libraries to AVX2."""
_RUNS = 12
_FREE = ("view", "slice", "select", "permute", "transpose", "expand", "t.", "unsqueeze", "detach",
         "alias", "as_strided", "split", "unbind", "narrow", "empty", "new_empty",
         "squeeze")  # fmt: skip
"""Operations that move nothing."""


def fastest(work: Callable[[], Any], runs: int = _RUNS) -> float:
    """CPU seconds of the fastest of several runs."""
    work()
    least = float("inf")
    for _ in range(runs):
        start = time.process_time()
        work()
        least = min(least, time.process_time() - start)
    return least


def peaks() -> dict[str, float]:
    """Rates that this processor reaches on one thread.

    Returns:
        `gmac_per_second` of a product of large matrices or of a convolution of 64 channels;
        `gb_per_second` of a copy of 64 MB, read and written; and of one of 3 MB, the size of an
        image in float32.
    """
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    x = torch.rand(1, 64, 128, 128).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(64, 64, 3, 3)
    copies = {}
    for name, megabytes in (("gb_per_second", 64), ("gb_per_second_in_cache", 3)):
        given = torch.rand(megabytes * 250_000)
        there = torch.empty_like(given)
        seconds = fastest(lambda given=given, there=there: there.copy_(given), 40)
        copies[name] = 2 * megabytes / 1000 / seconds
    product = 1024**3 / fastest(lambda: a @ b)
    convolution = 9 * 64**2 * 128**2 / fastest(lambda: F.conv2d(x, weight, padding=1))
    return {"gmac_per_second": max(product, convolution) / 1e9, **copies}


class _Counting(TorchDispatchMode):
    """Sums up the least time of every operation."""

    def __init__(self, rates: dict[str, float]) -> None:
        super().__init__()
        self.rates = rates
        self.macs = self.bytes = self.seconds = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        count = flop_registry.get(func.overloadpacket)
        if count is None:
            with self:  # what is made of other operations counts as these
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **kwargs)
        if func.name().removeprefix("aten::").startswith(_FREE):
            return result
        macs = count(*args, **kwargs, out_val=result) / 2 if count is not None else 0.0
        moved = float(sum(t.nbytes for t in _tensors((args, kwargs, result))))
        self.macs += macs
        self.bytes += moved
        by_bytes = moved / 1e9 / self.rates["gb_per_second_in_cache"]
        self.seconds += max(macs / 1e9 / self.rates["gmac_per_second"], by_bytes)
        return result


def _tensors(nested: Any) -> list[torch.Tensor]:
    if isinstance(nested, torch.Tensor):
        return [nested]
    if isinstance(nested, dict):
        nested = list(nested.values())
    if isinstance(nested, list | tuple):
        return [t for one in nested for t in _tensors(one)]
    return []


def roofline(work: Callable[[], Any], rates: dict[str, float]) -> dict[str, float]:
    """Multiply-adds, bytes, and the share of the least time in the time that was measured.

    Args:
        work: the stage.
        rates: output of `peaks`.
    """
    with _Counting(rates) as counting:
        work()
    seconds = fastest(work)
    return {
        "gmac": counting.macs / 1e9,
        "mb": counting.bytes / 1e6,
        "least_ms": 1000 * counting.seconds,
        "arithmetic_ms": 1000 * counting.macs / 1e9 / rates["gmac_per_second"],
        "ms": 1000 * seconds,
        "share": counting.seconds / seconds,
    }


def measure() -> dict[str, Any]:
    """Every stage, in this process."""
    torch.set_num_threads(1)
    keep_freed_memory()
    network = make("small", "small")
    laid = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.from_numpy(photograph(SIZE)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        rates = peaks()
        works = stages(laid, x, torch.ones(1, 1, SIZE, SIZE))
        rows = {name: roofline(work, rates) for name, work in works.items()}
    facts = {
        "torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability(),
        "load": os.getloadavg()[0], "size": SIZE,
    }  # fmt: skip
    return {"facts": facts, "peaks": rates, "stages": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path)
    told = parser.parse_args()
    if told.here:
        print(json.dumps(measure()))
        return
    found = {}
    for limits in ({}, AVX2):
        command = [sys.executable, __file__, "--here"]
        done = subprocess.run(
            command, env={**os.environ, **limits}, stdout=subprocess.PIPE, text=True, check=True
        )
        one = json.loads(done.stdout)
        found[one["facts"]["capability"]] = one
    print(json.dumps(found, indent=1))
    if told.output:
        told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
