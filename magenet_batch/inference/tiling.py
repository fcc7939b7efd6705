"""Enhance one image with a network of local colour transforms: the whole once, then tile by tile.

The square around the field of view is reduced to the working size and given to the global stages.
The last stage then works through the original in tiles that overlap by more than its reach, so that
no seams can appear and memory does not grow with the image.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from magenet_batch.errors import CancelledError, ImageError
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.inference.pixels import as_tensor, feathered, lit, mixed, reduced
from magenet_batch.inference.tiles import Square
from magenet_batch.models.affine import Window
from magenet_batch.models.magenet import TILE_ALIGNMENT, GlobalContext, MageNet
from magenet_batch.models.unet import UNet


class Tiling:
    """Runs a network of global stages and a last stage that works in tiles.

    Args:
        network: the network, in float32, on its device.
        device: device of the computation.
        autocast: run in bf16.
        tile: longest side of a tile without its overlap, pixels, a multiple of 8.
    """

    def __init__(
        self, network: MageNet | UNet, *, device: torch.device, autocast: bool, tile: int
    ) -> None:
        self._network, self._device, self._autocast = network, device, autocast
        self._tile = tile
        self._halo = -(-network.reach // TILE_ALIGNMENT) * TILE_ALIGNMENT

    def enhance(
        self,
        pixels: np.ndarray,
        fov: FieldOfView,
        mask: np.ndarray,
        *,
        blend: float,
        cancelled: Callable[[], bool],
    ) -> np.ndarray:
        """Enhance an image inside its field of view.

        Args:
            pixels: (H, W, 3) RGB, uint8 or uint16.
            fov: its field of view.
            mask: (H, W) bool, the same field of view.
            blend: weight of the enhanced image in the result, 0..1.
            cancelled: called before every tile; return True to stop.

        Returns:
            (H, W, 3) in the input's dtype.

        Raises:
            CancelledError: `cancelled` returned True.
            ImageError: the network produced values that are not finite.
        """
        square = Square.around(fov)
        size = self._network.config.working_size
        with self._computing():
            context = self._network.context(
                reduced(pixels, mask, square, size=size, device=self._device)
            )
        weight = feathered(mask) * np.float32(blend)
        result: np.ndarray = pixels.copy()
        for window in square.tiles(mask, largest=self._tile):
            if cancelled():
                raise CancelledError("stopped between two tiles")
            self._enhance_tile(pixels, mask, weight, square, window, context, into=result)
        return result

    def _computing(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast)

    def _enhance_tile(
        self,
        pixels: np.ndarray,
        mask: np.ndarray,
        weight: np.ndarray,
        square: Square,
        window: Window,
        context: GlobalContext,
        *,
        into: np.ndarray,
    ) -> None:
        """Enhance one tile with its overlap, and write its core into the result."""
        height, width = pixels.shape[:2]
        seen = square.widened(window, self._halo)
        rows, columns, to_rows, to_columns = square.overlap(seen, height, width)
        cut = np.zeros((seen.bottom - seen.top, seen.right - seen.left, 3), pixels.dtype)
        cut[to_rows, to_columns] = lit(pixels[rows, columns], mask[rows, columns])
        tile = as_tensor(cut, self._device)
        with self._computing():
            refined = self._network.refine(
                tile, context, window=seen, height=square.side, width=square.side
            )
        if not torch.isfinite(refined.sum(dtype=torch.float32)):
            raise ImageError("non_finite", "the network produced values that are not finite")
        rows, columns, _, _ = square.overlap(window, height, width)
        inner = refined[
            0, :,
            rows.start - square.top - seen.top : rows.stop - square.top - seen.top,
            columns.start - square.left - seen.left : columns.stop - square.left - seen.left,
        ]  # fmt: skip
        enhanced = inner.float().clamp(0, 1).permute(1, 2, 0).cpu()
        share = torch.from_numpy(weight[rows, columns, None])
        into[rows, columns] = mixed(pixels[rows, columns], enhanced, share)
