"""What a worker needs of an enhancer; in practice `inference.enhancer.Enhancer`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.jobs.work.measuring import EnhancementLike

if TYPE_CHECKING:
    from magenet_batch.inference.batching import Each


class EnhancerLike(Protocol):
    """Enhances one image."""

    weights_name: str
    weights_hash: str

    def enhance(
        self,
        pixels: np.ndarray,
        fov: FieldOfView,
        *,
        cancelled: Callable[[], bool],
        spots: bool = True,
    ) -> EnhancementLike:
        """Enhance `(H, W, 3)` pixels inside the field of view; stop if `cancelled` returns True.

        `spots=False` leaves dust; enhancers that estimate no spots never see it.
        """
        ...

    def vessels(self, pixels: np.ndarray, fov: FieldOfView) -> np.ndarray | None:
        """Probability of vessel over the whole picture, `(h, w)` float32, or None."""
        ...


@runtime_checkable
class BatchEnhancer(Protocol):
    """An enhancer that can also enhance several images together."""

    def enhance_many(
        self,
        images: Sequence[tuple[np.ndarray, FieldOfView]],
        *,
        cancelled: Callable[[], bool],
        each: Each,
    ) -> Sequence[EnhancementLike]:
        """Enhance images like `enhance`; `each` applies a function to every image, like `map`."""
        ...


EnhancerFactory = Callable[[str, int], EnhancerLike]
"""Makes an enhancer for (device, threads) inside the worker. Must pickle when there are workers."""
