"""What a restorer needs to know of one image before its network runs; the host's work."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from magenet_batch.imaging.edge import border_level, covered_part, edge_levels
from magenet_batch.imaging.fov import FieldOfView, analysis_copy
from magenet_batch.imaging.notch import notch_weights
from magenet_batch.inference.copies import ReducedCopy
from magenet_batch.inference.pixels import float_tensor
from magenet_batch.models.restoration.rim import continued, inner

_FILM = (0.045, 0.05)  # level of the border up to which a picture is no film, and from which it is


@dataclass(frozen=True)
class Given:
    """An image to be restored.

    Attributes:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        fov: its field of view.
        mask: (H, W) bool, the same field of view, without notches.
        vessels: probability of vessel in the square around the field of view, (1, 1, S, S); None
            if the sensor stage is not guided.
    """

    pixels: np.ndarray
    fov: FieldOfView
    mask: np.ndarray
    vessels: torch.Tensor | None


@dataclass(frozen=True)
class Prepared:
    """An image with its reduced copy.

    Attributes:
        given: the image.
        small: its analysis copy (`imaging.fov.analysis_copy`).
        notch: (H, W) float32, weights of the notches of its edge; None if there are none.
        whole: (H, W) bool, the field of view with notches.
        copy: the copy on which faults are undone.
        seen: the copy continued outside the field of view, (1, 3, S, S), on the device.
        inner: (S, S) uint8, where the copy's statistics are taken.
    """

    given: Given
    small: np.ndarray
    notch: np.ndarray | None
    whole: np.ndarray
    copy: ReducedCopy
    seen: torch.Tensor
    inner: np.ndarray

    @classmethod
    def of(cls, given: Given, *, working: int, device: torch.device) -> Prepared:
        """Find the notches of an image, and reduce it.

        Args:
            given: the image.
            working: side of the copy that its reduction aims at, pixels.
            device: where the network computes.
        """
        small = analysis_copy(given.pixels, given.fov)
        notch = notch_weights(given.pixels, small, given.fov)
        whole = given.mask if notch is None else given.mask | (notch > 0.5)
        copy = ReducedCopy.of(given.pixels, given.fov, whole, given.mask, working=working)
        seen = float_tensor(continued(copy.pixels, copy.mask), device)
        return cls(given, small, notch, whole, copy, seen, inner(copy.disc))

    def weight(self, blend: float) -> np.ndarray:
        """Weight of the restored image, (H, W) float32, 0..`blend`.

        It reaches up to the edge: a veil left there would look like a bright ring.
        """
        mask = self.given.mask
        reached = mask if self.notch is None else np.maximum(mask, self.notch)
        weight: np.ndarray = reached * np.float32(blend)
        return weight

    @cached_property
    def _covered(self) -> np.ndarray:
        return covered_part(self.small, self.whole)

    @cached_property
    def film(self) -> float:
        """How surely the picture is scanned film, whose border is not black, 0..1."""
        low, high = _FILM
        return min(1.0, max(0.0, (border_level(self.small, self._covered) - low) / (high - low)))

    def edge(self) -> np.ndarray | None:
        """Levels of the soft edge that stays as it was; None if there is none."""
        return edge_levels(self.small, self._covered, self.given.fov)
