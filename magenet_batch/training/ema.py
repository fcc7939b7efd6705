"""The teacher: an exponential moving average of the student."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

Part = TypeVar("Part", bound=nn.Module)


def make_teacher(student: Part) -> Part:
    """Copy the student into a teacher that receives no gradients."""
    teacher = copy.deepcopy(student)
    teacher.requires_grad_(False)
    return teacher.eval()


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, *, decay: float) -> None:
    """Update teacher = decay * teacher + (1 - decay) * student; buffers are copied.

    Args:
        teacher: the teacher, modified in place.
        student: the network that is trained.
        decay: decay of the moving average, 0..1.
    """
    old: list[torch.Tensor] = list(teacher.parameters())
    new: list[torch.Tensor] = list(student.parameters())
    torch._foreach_lerp_(old, new, 1 - decay)
    for into, source in zip(teacher.buffers(), student.buffers(), strict=True):
        into.copy_(source)
