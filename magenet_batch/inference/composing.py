"""Apply what was found on a reduced copy to the original's own pixels, strip by strip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from magenet_batch.errors import CancelledError
from magenet_batch.imaging.edge import border_share
from magenet_batch.imaging.fov import brightest
from magenet_batch.inference.copies import STRIP
from magenet_batch.inference.look import clear_gain
from magenet_batch.inference.pixels import as_pixels, as_tensor, float_tensor, plane
from magenet_batch.inference.preparing import Prepared
from magenet_batch.inference.sensing import Undone
from magenet_batch.inference.tiles import Square
from magenet_batch.models.affine import Window, cut_resized
from magenet_batch.models.restoration.fields import Planes
from magenet_batch.models.restoration.rim import continued
from magenet_batch.settings import Look

_TALL = 2048  # rows of the original that a GPU processes at a time


@dataclass(frozen=True)
class Found:
    """An image and what restores it.

    Attributes:
        image: the image, prepared.
        undone: its copy after the sensor stage.
        light: gain and offset of each pixel; None if they change nothing.
    """

    image: Prepared
    undone: Undone
    light: Planes | None


def composed(
    found: Found,
    *,
    look: Look,
    blend: float,
    device: torch.device,
    cancelled: Callable[[], bool],
) -> np.ndarray:
    """Apply the copy's change and the light to the original.

    Args:
        found: the image and what restores it.
        look: `natural` or `clear`.
        blend: weight of the restored image in the result, 0..1.
        device: where to compute.
        cancelled: called before every strip; return True to stop.

    Returns:
        (H, W, 3) in the input's dtype, the input itself if there is nothing to apply.

    Raises:
        CancelledError: `cancelled` returned True.
    """
    pixels, square = found.image.given.pixels, found.image.copy.square
    change, light = found.undone.change, found.light
    clear = _clear(found, device) if look == "clear" else None
    if change is None and light is None and clear is None:
        return pixels
    side = square.side
    weight, edge = found.image.weight(blend), found.image.edge()
    full = int(np.iinfo(pixels.dtype).max)
    result: np.ndarray = pixels.copy()
    tall = STRIP if device.type == "cpu" else _TALL
    for rows, columns, window in _strips(square, *weight.shape, tall=tall):
        if cancelled():
            raise CancelledError("stopped between two strips")
        share, seen = weight[rows, columns], pixels[rows, columns]
        if not share.any():
            continue
        if edge is not None:
            bright = brightest(seen).astype(np.float32) / full
            share = share * (1 - border_share(bright, edge, rows, columns, weight.shape))
        old = as_tensor(seen, device, layout=torch.contiguous_format)
        new = old
        inside = old.shape[-2:] == (window.bottom - window.top, window.right - window.left)
        if change is not None and inside:
            new = old + _enlarged(change, window, side)  # detail is known in the square only
        if light is not None:
            at = slice(window.top, window.bottom), slice(window.left, window.right)
            new = light.cut(*at, size=side).apply(new)
        if clear is not None:
            # No channel may clip, which would change the hue.
            room = (1 / new.amax(1, keepdim=True).clamp_min(1e-3)).clamp_min(1)
            new = new * torch.minimum(_enlarged(clear, window, side), room)
        mixed = torch.lerp(old, new.clamp_(0, 1), plane(share, device))
        result[rows, columns] = as_pixels(mixed, pixels.dtype)
    return result


def _clear(found: Found, device: torch.device) -> torch.Tensor:
    """Gain of the look `clear` at each pixel of the copy, (1, 1, S, S)."""
    copy, y = found.image.copy, found.undone.copy
    shown = y if found.light is None else found.light.resized(y.shape[-1]).apply(y)
    pixels = shown.clamp(0, 1)[0].permute(1, 2, 0).cpu().numpy() * copy.mask[..., None]
    smooth = float_tensor(continued(pixels, copy.mask), device)
    return torch.exp(clear_gain(smooth, plane(copy.disc, device)))


def _strips(
    square: Square, height: int, width: int, *, tall: int
) -> Iterator[tuple[slice, slice, Window]]:
    """Rows and columns of the picture, strip by strip, and the window of the square they lie in.

    A notch can reach beyond the square. What lies beside the square comes last, with the window
    of the square's outermost line, whose light applies there.
    """
    side = square.side
    for top in range(0, side, tall):
        whole = Window(top, min(top + tall, side), 0, side)
        rows, columns, to_rows, to_columns = square.overlap(whole, height, width)
        yield (
            rows, columns,
            Window(top + to_rows.start, top + to_rows.stop, to_columns.start, to_columns.stop),
        )  # fmt: skip
    rows, columns, down, across = square.overlap(square.whole(), height, width)
    if down.stop > down.start and across.stop > across.start:
        for beside, line in ((slice(0, rows.start), 0), (slice(rows.stop, height), side - 1)):
            yield beside, columns, Window(line, line + 1, across.start, across.stop)
        for beside, line in ((slice(0, columns.start), 0), (slice(columns.stop, width), side - 1)):
            yield rows, beside, Window(down.start, down.stop, line, line + 1)


def _enlarged(x_BCHW: torch.Tensor, window: Window, side: int) -> torch.Tensor:
    if x_BCHW.shape[-1] == side:
        return x_BCHW[..., window.top : window.bottom, window.left : window.right]
    return cut_resized(x_BCHW, window, height=side, width=side)
