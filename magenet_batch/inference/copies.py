"""The copy of bounded size on which a restorer senses and undoes the faults of an image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.inference.tiles import Square
from magenet_batch.models.affine import Window
from magenet_batch.models.restoration.scatter import reduced

STRIP = 256
"""Rows of the original that are processed at a time."""
_ALIGNMENT = 8


@dataclass(frozen=True)
class ReducedCopy:
    """The reduced square: pixels (S, S, 3) float32, mask (S, S), integer factor of its reduction.

    `mask` is what is restored, `disc` what is measured: the same without notches. `covered` is the
    share of its side that the square around the field of view covers.
    """

    pixels: np.ndarray
    mask: np.ndarray
    disc: np.ndarray
    factor: int
    square: Square
    covered: float

    def fitted(self, map_11SS: torch.Tensor | None, *, size: int = 0) -> torch.Tensor | None:
        """Resize a map of the square around the field of view to this copy, which can be larger.

        Args:
            map_11SS: the map; None gives None.
            size: side of the result, pixels; 0 for that of the copy.
        """
        if map_11SS is None:
            return None
        size = size or len(self.mask)
        covered = round(size * self.covered)
        if map_11SS.shape[-1] % covered:
            to = (covered, covered)
            fitted = F.interpolate(map_11SS, size=to, mode="bilinear", antialias=True)
        else:
            fitted = reduced(map_11SS, covered)
        return F.pad(fitted, (0, size - covered, 0, size - covered))

    @classmethod
    def of(
        cls,
        pixels: np.ndarray,
        fov: FieldOfView,
        mask: np.ndarray,
        disc: np.ndarray,
        *,
        working: int,
    ) -> ReducedCopy:
        """Reduce the square by an integer factor, black outside the mask.

        Args:
            pixels: (H, W, 3) RGB, uint8 or uint16.
            fov: its field of view.
            mask: (H, W) bool, what is restored.
            disc: (H, W) bool, what is measured; the same array if there are no notches.
            working: side of the copy that the factor aims at, pixels.
        """
        around = Square.around(fov)
        factor = max(1, round(around.side / working))
        step = _ALIGNMENT * factor
        side = -(-around.side // step) * step
        square = Square(around.top, around.left, side)
        full = float(np.iinfo(pixels.dtype).max)
        size = side // factor
        reduced = np.zeros((size, size, 3), np.float32)
        lit = np.zeros((size, size), np.float32)
        rows_at_once = max(1, STRIP // factor)
        for first in range(0, size, rows_at_once):
            last = min(first + rows_at_once, size)
            window = Window(first * factor, last * factor, 0, side)
            rows, columns, to_rows, to_columns = square.overlap(window, *mask.shape)
            strip: np.ndarray = np.zeros((window.bottom - window.top, side, 3), np.float32)
            inside: np.ndarray = np.zeros(strip.shape[:2], np.float32)
            inside[to_rows, to_columns] = mask[rows, columns]
            strip[to_rows, to_columns] = pixels[rows, columns]
            strip *= inside[..., None] / full
            if factor > 1:
                shape = (size, last - first)
                strip = cv2.resize(strip, shape, interpolation=cv2.INTER_AREA)
                inside = cv2.resize(inside, shape, interpolation=cv2.INTER_AREA)
            reduced[first:last], lit[first:last] = strip, inside
        mask_of_copy = (lit > 0.999).astype(np.uint8)
        disc_of_copy = mask_of_copy
        if disc is not mask:
            rows, columns, to_rows, to_columns = square.overlap(square.whole(), *disc.shape)
            whole = np.zeros((side, side), np.uint8)
            whole[to_rows, to_columns] = 255 * disc[rows, columns].astype(np.uint8)
            share = cv2.resize(whole, (size, size), interpolation=cv2.INTER_AREA)
            disc_of_copy = (share == 255).astype(np.uint8)
        return cls(reduced, mask_of_copy, disc_of_copy, factor, square, around.side / side)
