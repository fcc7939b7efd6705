"""Restore one image at its own resolution with a `Restorer`.

Faults are undone on a copy of bounded size: the sensor stage works on the square around the field
of view, reduced by an integer factor, and the light stage on a small copy of that result. The
original's own pixels then receive the change of the copy, enlarged, and the light, row by row.
Detail finer than the copy is preserved, and so is everything where nothing is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.errors import CancelledError, ImageError
from magenet_batch.imaging.edge import border_share, edge_levels
from magenet_batch.imaging.fov import FieldOfView, analysis_copy, brightest
from magenet_batch.imaging.notch import notch_weights
from magenet_batch.inference.copies import STRIP, ReducedCopy
from magenet_batch.inference.look import clear_gain
from magenet_batch.inference.pixels import as_pixels, as_tensor
from magenet_batch.inference.tiles import Square
from magenet_batch.models.affine import Window, cut_resized
from magenet_batch.models.restoration.bands import detail_bands
from magenet_batch.models.restoration.fields import Fields, Planes, planes
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.restoration.rim import continued, inner, relit_rim, trusted
from magenet_batch.models.restoration.sense import Sensed
from magenet_batch.settings import Look

_TALL = 2048  # rows of the original that a GPU processes at a time


@dataclass(frozen=True)
class Estimates:
    """What the network estimates was wrong with an image.

    Attributes:
        blur: standard deviation of the blur, per mille of the diameter of the field of view.
        noise: standard deviation of the noise at the network's working size, percent of the range.
        compression: loss by JPEG compression, 0 (none) .. 1 (quality 25).
        veil: mean density of the veil, 0..1.
        unevenness: standard deviation of the logarithm of the light over the field of view.
    """

    blur: float
    noise: float
    compression: float
    veil: float
    unevenness: float


class Restoring:
    """Runs a `Restorer` on images of any size.

    Args:
        network: in float32, on its device.
        device: where to compute.
        autocast: run the stages in bf16.
        look: `natural` restores what was there; `clear` also raises local contrast afterwards.
    """

    def __init__(
        self, network: Restorer, *, device: torch.device, autocast: bool, look: Look = "natural"
    ) -> None:
        self._network, self._device, self._autocast = network, device, autocast
        self._look = look
        sensor = network.config.sensor
        self._working = sensor.working_size if sensor is not None else 768

    def restore(
        self,
        pixels: np.ndarray,
        fov: FieldOfView,
        mask: np.ndarray,
        vessels: torch.Tensor | None,
        *,
        blend: float,
        cancelled: Callable[[], bool],
    ) -> tuple[np.ndarray, Estimates]:
        """Restore an image inside its field of view, and in the notches of its edge.

        Args:
            pixels: (H, W, 3) RGB, uint8 or uint16.
            fov: its field of view.
            mask: (H, W) bool, the same field of view, without notches.
            vessels: probability of vessel in the square around the field of view, (1, 1, S, S);
                None if the sensor stage is not guided.
            blend: weight of the restored image in the result, 0..1.
            cancelled: called between steps; return True to stop.

        Returns:
            (H, W, 3) in the input's dtype, `pixels` itself if nothing is to be changed; and the
            estimates.

        Raises:
            CancelledError: `cancelled` returned True.
            ImageError: the network produced values that are not finite.
        """
        small = analysis_copy(pixels, fov)
        notch = notch_weights(pixels, small, fov)
        whole = mask if notch is None else mask | (notch > 0.5)
        copy = ReducedCopy.of(pixels, fov, whole, mask, working=self._working)
        inside = self._plane(copy.disc)
        if cancelled():
            raise CancelledError("stopped before the sensor stage")
        x = self._tensor(copy.pixels)
        change, sensed = self._sensor_undone(x, copy, vessels)
        y = x if change is None else x + change
        if cancelled():
            raise CancelledError("stopped before the light stage")
        fields = self._light(y, inside, sensed)
        if not torch.isfinite(y.sum()):
            raise ImageError("non_finite", "the network produced values that are not finite")
        light = planes(fields) if fields is not None else None
        if light is not None and light.neutral:
            light = None
        clear = None
        if self._look == "clear":
            shown = light.resized(y.shape[-1]).apply(y) if light is not None else y
            clear = torch.exp(clear_gain(self._continued(shown, copy.mask), inside))
        # Up to the edge: a veil left there would look like a bright ring.
        weight = (mask if notch is None else np.maximum(mask, notch)) * np.float32(blend)
        edge = edge_levels(small, whole, fov)
        result = self._composed(pixels, weight, copy, change, light, clear, edge, cancelled)
        return result, _estimates(sensed, fields, copy, 2 * fov.radius)

    def _sensor_undone(
        self, x: torch.Tensor, copy: ReducedCopy, vessels: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, Sensed]:
        """What undoing blur, noise and compression changes in a copy; None if nothing."""
        with self._computing():
            seen = self._tensor(continued(copy.pixels, copy.mask))
            bands = detail_bands(seen)
            sensed = self._network.sensed(seen, self._plane(inner(copy.disc)), bands=bands)
            blur = float(sensed.blur)
            lit = relit_rim(copy.pixels, copy.mask, blur=blur)
            if lit is not copy.pixels:
                del bands  # they are as large as eight copies
                seen = self._tensor(continued(lit, copy.mask))
                bands = detail_bands(seen)
            undone = self._network.undo_sensor(seen, sensed, copy.fitted(vessels), bands=bands)
        if undone is seen and lit is copy.pixels:
            return None, sensed
        relit, restored = (self._plane(weight) for weight in trusted(copy.mask, blur=blur))
        change = restored * (undone - seen)
        if lit is not copy.pixels:
            change = torch.addcmul(change, relit, self._tensor(lit) - x)
        return change, sensed

    def _computing(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast)

    def _tensor(self, array_HWC: np.ndarray) -> torch.Tensor:
        there = torch.from_numpy(array_HWC).to(self._device)
        return there.permute(2, 0, 1)[None].contiguous()

    def _plane(self, array_HW: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array_HW).to(self._device, torch.float32)[None, None]

    def _continued(self, x_13SS: torch.Tensor, mask: np.ndarray) -> torch.Tensor:
        """Continue a restored copy outside the field of view."""
        pixels = (x_13SS.clamp(0, 1)[0].permute(1, 2, 0).cpu().numpy()) * mask[..., None]
        return self._tensor(continued(pixels, mask))

    def _light(self, y: torch.Tensor, inside: torch.Tensor, sensed: Sensed) -> Fields | None:
        """Predict the light from a small copy of the sensor stage's output."""
        stage = self._network.light
        if stage is None:
            return None
        size = (stage.size, stage.size)
        seen = F.interpolate(y.clamp(0, 1) * inside, size=size, mode="area")
        share = F.interpolate(inside, size=size, mode="area")
        mask = (share > 0.98).float()
        with self._computing():
            fields = self._network.light_of(seen * mask, mask, sensed)
        return fields.believed() if fields is not None else None

    def _composed(
        self,
        pixels: np.ndarray,
        weight: np.ndarray,
        copy: ReducedCopy,
        change: torch.Tensor | None,
        light: Planes | None,
        clear: torch.Tensor | None,
        edge: np.ndarray | None,
        cancelled: Callable[[], bool],
    ) -> np.ndarray:
        """Apply the copy's change and the light to the original, strip by strip.

        Returns `pixels` itself if there is nothing to apply.
        """
        if change is None and light is None and clear is None:
            return pixels
        side = copy.square.side
        full = int(np.iinfo(pixels.dtype).max)
        result: np.ndarray = pixels.copy()
        tall = STRIP if self._device.type == "cpu" else _TALL
        for rows, columns, window in _strips(copy.square, *weight.shape, tall=tall):
            if cancelled():
                raise CancelledError("stopped between two strips")
            share, seen = weight[rows, columns], pixels[rows, columns]
            if not share.any():
                continue
            if edge is not None:
                bright = brightest(seen).astype(np.float32) / full
                share = share * (1 - border_share(bright, edge, rows, columns, weight.shape))
            old = as_tensor(seen, self._device, layout=torch.contiguous_format)
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
            mixed = torch.lerp(old, new.clamp_(0, 1), self._plane(share))
            result[rows, columns] = as_pixels(mixed, pixels.dtype)
        return result


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


def _estimates(
    sensed: Sensed, fields: Fields | None, copy: ReducedCopy, diameter: float
) -> Estimates:
    veil = unevenness = 0.0
    if fields is not None:
        veil = float(fields.veil.mean())
        unevenness = float(fields.light.mean(1).std())
    return Estimates(
        blur=float(sensed.blur) * copy.factor / diameter * 1000,
        noise=float(sensed.noise) * 100,
        compression=min(1.0, float(sensed.jpeg)),
        veil=veil, unevenness=unevenness,
    )  # fmt: skip
