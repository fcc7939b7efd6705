"""Enhancing one image at its own resolution: the whole once, then tile by tile.

The square around the field of view is reduced to the working size and shown to the global stages;
the last stage then works through the original in tiles that overlap by more than its reach, so that
no seam can appear, in memory that does not grow with the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from magenet_batch.errors import CancelledError, ImageError
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.inference.tiles import Square
from magenet_batch.models.affine import Window
from magenet_batch.models.build import Network
from magenet_batch.models.device import pick_autocast, pick_device
from magenet_batch.models.magenet import ALIGNMENT, TILE_ALIGNMENT, GlobalContext
from magenet_batch.models.shelf import WeightsFile
from magenet_batch.models.weights import load_weights
from magenet_batch.settings import DEFAULT_WEIGHTS

_VESSEL_SIZE = 512  # pixels across the square in which vessels are looked for, as in training


@dataclass(frozen=True)
class Enhancement:
    """What the network made of an image.

    Attributes:
        pixels: (H, W, 3), shape and type of the input.
        vessels_before: (h, w) float32, probability of vessel in the input, over the whole picture
            reduced; None if the network has no structure module.
        vessels_after: the same of the enhanced image.
    """

    pixels: np.ndarray
    vessels_before: np.ndarray | None
    vessels_after: np.ndarray | None


class Enhancer:
    """A network ready to enhance images; loaded once, used for many.

    Args:
        network: in float32.
        info: what its weights say of themselves.
        device: where to compute.
        precision: `auto`, `fp32` or `bf16`.
        tile: longest side of a tile without its overlap, pixels, multiple of 8.
        blend: share of what the network gives in the result, 0..1; the rest is the original.
    """

    def __init__(
        self,
        network: Network,
        info: WeightsFile,
        *,
        device: torch.device,
        precision: str = "auto",
        tile: int = 1728,
        blend: float = 1.0,
    ) -> None:
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.weights_name = info.name
        self.weights_hash = info.hash
        self._device = device
        self._autocast = pick_autocast(precision, device)
        self._tile = tile
        self._blend = np.float32(blend)
        self._halo = -(-network.reach // TILE_ALIGNMENT) * TILE_ALIGNMENT

    @classmethod
    def load(
        cls,
        weights: str = DEFAULT_WEIGHTS,
        *,
        device: str = "auto",
        threads: int = 0,
        precision: str = "auto",
        blend: float = 1.0,
    ) -> Enhancer:
        """Load weights.

        Args:
            weights: a shipped name or a file.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            threads: CPU threads of this process; 0 leaves them as they are.
            precision: `auto`, `fp32` or `bf16`.
            blend: share of what the network gives in the result, 0..1.

        Raises:
            WeightsError: if the weights cannot be loaded.
            UsageError: if there is no such device.
        """
        if threads:
            torch.set_num_threads(threads)
        network, info = load_weights(weights)
        return cls(network, info, device=pick_device(device), precision=precision, blend=blend)

    @torch.inference_mode()
    def enhance(
        self, pixels: np.ndarray, fov: FieldOfView, *, cancelled: Callable[[], bool] = lambda: False
    ) -> Enhancement:
        """Enhance an image inside its field of view; outside it every pixel stays as it is.

        Args:
            pixels: (H, W, 3) RGB, uint8 or uint16.
            fov: its field of view.
            cancelled: asked before every tile whether to give up.

        Raises:
            CancelledError: if it was asked to give up.
            ImageError: if the network gives values that are not finite.
        """
        height, width = pixels.shape[:2]
        mask = fov.mask(height, width)
        square = Square.around(fov)
        with self._computing():
            context = self.network.context(
                self._reduced(pixels, mask, square, size=self.network.config.working_size)
            )
        result = pixels.copy()
        weight = _feathered(mask)
        for window in square.tiles(mask, largest=self._tile):
            if cancelled():
                raise CancelledError("given up between two tiles")
            self._enhance_tile(pixels, mask, weight, square, window, context, into=result)
        return Enhancement(result, self.vessels(pixels, fov), self.vessels(result, fov))

    @torch.inference_mode()
    def vessels(self, pixels: np.ndarray, fov: FieldOfView) -> np.ndarray | None:
        """What the structure module sees in an image.

        Args:
            pixels: (H, W, 3) RGB, uint8 or uint16.
            fov: its field of view.

        Returns:
            (h, w) float32, probability of vessel over the whole picture, reduced so that the field
            of view is about 500 pixels wide; None if the network has no structure module.
        """
        if self.network.structure is None:
            return None
        square, mask = Square.around(fov), fov.mask(*pixels.shape[:2])
        reduced = self._reduced(pixels, mask, square, size=_VESSEL_SIZE)
        with self._computing():
            seen = self.network.structure(reduced)
        return self._in_picture(torch.sigmoid(seen.logits.float()), square, *pixels.shape[:2])

    def _computing(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast)

    def _reduced(
        self, pixels: np.ndarray, mask: np.ndarray, square: Square, *, size: int
    ) -> torch.Tensor:
        """The square at a size, or its own if that is less: (1, 3, S, S), black outside the FOV."""
        height, width = pixels.shape[:2]
        rows, columns, to_rows, to_columns = square.overlap(square.whole(), height, width)
        cut = np.zeros((square.side, square.side, 3), pixels.dtype)
        cut[to_rows, to_columns] = _lit(pixels[rows, columns], mask[rows, columns])
        size = min(size, -(-square.side // ALIGNMENT) * ALIGNMENT)
        how = cv2.INTER_AREA if size < square.side else cv2.INTER_LINEAR
        return self._tensor(cv2.resize(cut, (size, size), interpolation=how))

    def _tensor(self, pixels: np.ndarray) -> torch.Tensor:
        """(H, W, 3) integers to (1, 3, H, W) in [0, 1] on the device."""
        full = float(np.iinfo(pixels.dtype).max)
        if pixels.dtype == np.uint16:
            pixels = pixels.astype(np.int32)
        x = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device)
        return (x.permute(2, 0, 1)[None].float() / full).contiguous(
            memory_format=torch.channels_last
        )

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
        """Enhance one tile with its overlap and put its core into the result."""
        height, width = pixels.shape[:2]
        seen = square.widened(window, self._halo)
        rows, columns, to_rows, to_columns = square.overlap(seen, height, width)
        cut = np.zeros((seen.bottom - seen.top, seen.right - seen.left, 3), pixels.dtype)
        cut[to_rows, to_columns] = _lit(pixels[rows, columns], mask[rows, columns])
        tile = self._tensor(cut)
        with self._computing():
            refined = self.network.refine(
                tile, context, window=seen, height=square.side, width=square.side
            )
        if not torch.isfinite(refined.sum(dtype=torch.float32)):
            raise ImageError("non_finite", "the network gave values that are not finite")
        rows, columns, _, _ = square.overlap(window, height, width)
        inner = refined[
            0, :,
            rows.start - square.top - seen.top : rows.stop - square.top - seen.top,
            columns.start - square.left - seen.left : columns.stop - square.left - seen.left,
        ]  # fmt: skip
        enhanced = inner.float().clamp(0, 1).permute(1, 2, 0).cpu()
        share = torch.from_numpy(weight[rows, columns, None]).float() * (float(self._blend) / 255)
        into[rows, columns] = _mixed(pixels[rows, columns], enhanced, share)

    def _in_picture(
        self, map_11SS: torch.Tensor, square: Square, height: int, width: int
    ) -> np.ndarray:
        """A map of the square as a map of the whole picture at the same scale, 0 outside."""
        small = map_11SS[0, 0].cpu().numpy()
        scale = small.shape[0] / square.side
        matrix = np.array([[1, 0, square.left * scale], [0, 1, square.top * scale]])
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return cv2.warpAffine(small, matrix, size, flags=cv2.INTER_LINEAR)


def _lit(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The pixels, black outside the mask."""
    return cv2.copyTo(np.ascontiguousarray(pixels), np.ascontiguousarray(mask).view(np.uint8))


def _mixed(pixels: np.ndarray, enhanced: torch.Tensor, share: torch.Tensor) -> np.ndarray:
    """Original and enhanced (0..1), (h, w, 3), by a share (h, w, 1), in the original's type."""
    full = int(np.iinfo(pixels.dtype).max)
    old = torch.from_numpy(pixels.astype(np.float32))
    mixed = torch.lerp(old, enhanced * full, share).round_()
    if pixels.dtype == np.uint8:
        return mixed.to(torch.uint8).numpy()
    return mixed.numpy().astype(pixels.dtype)


def _feathered(mask: np.ndarray) -> np.ndarray:
    """The mask as weights (H, W) uint8 that fall to 0 at its edge, never outside it.

    They fall within two pixels: a wider seam would leave a bright ring of the original's haze.
    """
    kernel = np.ones((3, 3), np.uint8)
    inner = cv2.erode(mask.astype(np.uint8) * 255, kernel, borderValue=255)
    return cv2.blur(inner, (3, 3)) * mask
