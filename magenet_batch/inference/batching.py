"""Several images through a network together: those of one shape are one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import torch

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Each(Protocol):
    """Applies a function to every item and gives the results in order: `map`, or a pool's."""

    def __call__(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item], /
    ) -> Iterable[_Result]:
        """Apply the function."""
        ...


def inferring(each: Each) -> Each:
    """The same in inference mode, which every thread has to enter by itself."""

    def applied(
        function: Callable[[_Item], _Result], items: Iterable[_Item], /
    ) -> Iterable[_Result]:
        return each(torch.inference_mode()(function), items)

    return applied


def joined(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Join tensors of one shape along their first axis; a single one is not copied."""
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))


def alike(tensors: Sequence[torch.Tensor]) -> list[list[int]]:
    """Indices of the tensors of each shape, shapes in the order in which they first occur."""
    found: dict[torch.Size, list[int]] = {}
    for index, tensor in enumerate(tensors):
        found.setdefault(tensor.shape, []).append(index)
    return list(found.values())


def together(
    work: Callable[[torch.Tensor], torch.Tensor], tensors: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    """Work on tensors of one shape as one batch.

    Args:
        work: takes and returns a batch.
        tensors: (1, ...) each, of any shapes.

    Returns:
        The results in the order of the tensors, (1, ...) each.
    """
    results: dict[int, torch.Tensor] = {}
    for indices in alike(tensors):
        batch = work(joined([tensors[i] for i in indices]))
        results.update((i, batch[n : n + 1]) for n, i in enumerate(indices))
    return [results[i] for i in range(len(tensors))]
