"""Processes that train one network together: everything they must agree on.

Every process has the whole network, draws its own batches, and averages gradients with the others
before each optimiser step. All copies of the network stay equal, and one of them is saved.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.distributed as dist


class Group(NamedTuple):
    """This process among those that train together; by default it is alone.

    Attributes:
        rank: 0 .. size - 1; rank 0 validates, reports and saves.
        size: number of processes.
        device: the GPU of this process; empty to choose as the recipe says.
    """

    rank: int = 0
    size: int = 1
    device: str = ""

    @property
    def leads(self) -> bool:
        """Whether this process validates, reports and saves."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by its mean over all processes, in a single message.

        A parameter without a gradient in any process gets a gradient of zero.
        """
        if self.size == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        parts = [p.grad if p.grad is not None else torch.zeros_like(p) for p in trained]
        flat = torch.cat([part.flatten() for part in parts])
        dist.all_reduce(flat)
        flat /= self.size
        own = torch.split(flat, [p.numel() for p in parts])
        for parameter, part in zip(trained, own, strict=True):
            parameter.grad = part.view_as(parameter)

    def agree(self, *, seconds: float, stop: bool, device: torch.device) -> tuple[float, bool]:
        """Share the leader's clock, and whether any process wants to stop.

        Args:
            seconds: training time so far, by this process's clock.
            stop: whether this process was asked to stop.
            device: device that the messages use.

        Returns:
            The leader's training time in seconds, and whether to stop.
        """
        if self.size == 1:
            return seconds, stop
        told = torch.tensor(
            [seconds if self.leads else 0.0, float(stop)], dtype=torch.float64, device=device
        )
        dist.all_reduce(told)
        return float(told[0]), bool(told[1] > 0)
