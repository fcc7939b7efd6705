"""The least time that the operations of a stage can take on one thread of this processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

_RUNS = 12
_FREE = ("view", "slice", "select", "permute", "transpose", "expand", "t.", "unsqueeze", "detach",
         "alias", "as_strided", "split", "unbind", "narrow", "empty", "squeeze")  # fmt: skip
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
        `gmac_per_second` of a product of two large matrices, `gb_per_second` of a copy of 64 MB,
        read and written; and of one of 1 MB, which stays in the cache.
    """
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    large, there = torch.rand(16_000_000), torch.empty(16_000_000)
    small, near = torch.rand(125_000), torch.empty(125_000)
    with torch.inference_mode():
        return {
            "gmac_per_second": 1024**3 / 1e9 / fastest(lambda: a @ b),
            "gb_per_second": 2 * large.nbytes / 1e9 / fastest(lambda: there.copy_(large)),
            "gb_per_second_in_cache": 2 * small.nbytes / 1e9 / fastest(lambda: near.copy_(small)),
        }


class _Counting(TorchDispatchMode):
    """Sums up the least time of every operation."""

    def __init__(self, rates: dict[str, float]) -> None:
        super().__init__()
        self.rates = rates
        self.macs = self.bytes = self.seconds = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.name().removeprefix("aten::")
        if name.startswith(_FREE):
            return result
        count = flop_registry.get(func.overloadpacket)
        macs = 0.0
        if count is not None:
            macs = count(*args, **(kwargs or {}), out_val=result) / 2
        moved = float(sum(t.nbytes for t in _tensors((args, kwargs, result))))
        self.macs += macs
        self.bytes += moved
        by_bytes = moved / 1e9 / self.rates["gb_per_second"]
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
    with FlopCounterMode(display=False) as counter:
        work()
    seconds = fastest(work)
    return {
        "gmac": counter.get_total_flops() / 2e9,
        "mb": counting.bytes / 1e6,
        "least_ms": 1000 * counting.seconds,
        "arithmetic_ms": 1000 * counting.macs / 1e9 / rates["gmac_per_second"],
        "ms": 1000 * seconds,
        "share": counting.seconds / seconds,
    }
