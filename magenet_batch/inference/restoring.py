"""Restore images at their own resolution with a `Restorer`.

Faults are undone on a copy of bounded size: the sensor stage works on the square around the field
of view, reduced by an integer factor, and the light stage on a small copy of that result. The
original's own pixels then receive the change of the copy, enlarged, and the light, row by row.
Detail finer than the copy is preserved, and so is everything where nothing is wrong.

Several images go through each stage together, which a GPU does in little more time than one: it
waits for the launches of many small operations. What precedes and follows the stages is done image
by image (`preparing.py`, `composing.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.errors import CancelledError, ImageError
from magenet_batch.inference.batching import Each, joined
from magenet_batch.inference.composing import Found, composed
from magenet_batch.inference.pixels import plane
from magenet_batch.inference.preparing import Given, Prepared
from magenet_batch.inference.sensing import SensorRunner, Undone
from magenet_batch.models.restoration.fields import Fields, Planes, planes
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.restoration.scatter import SIZE as SCATTER_SIZE
from magenet_batch.models.restoration.scatter import unscattered
from magenet_batch.models.restoration.sense import Sensed
from magenet_batch.settings import Look


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


@dataclass(frozen=True)
class _Light:
    """Light of one image: None if nothing is to be changed; veil and unevenness as estimated."""

    planes: Planes | None
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
        self._sensor = SensorRunner(network, device=device, autocast=autocast)
        sensor = network.config.sensor
        self._working = sensor.working_size if sensor is not None else 768

    def restore(
        self,
        images: Sequence[Given],
        *,
        blend: float,
        cancelled: Callable[[], bool],
        each: Each = map,
    ) -> list[tuple[np.ndarray, Estimates]]:
        """Restore images inside their fields of view, and in the notches of their edges.

        Args:
            images: the images; at least one.
            blend: weight of the restored images in the results, 0..1.
            cancelled: called between steps; return True to stop.
            each: applies a function to every image, in inference mode: what the host does image by
                image can be done in several threads.

        Returns:
            For each image (H, W, 3) in its dtype, the array that was given if nothing is to be
            changed; and the estimates.

        Raises:
            CancelledError: `cancelled` returned True.
            ImageError: the network produced values that are not finite, for one of the images.
        """
        prepare = partial(Prepared.of, working=self._working, device=self._device)
        prepared = list(each(prepare, images))
        if cancelled():
            raise CancelledError("stopped before the sensor stage")
        undone = self._sensor.undo(prepared, each=each)
        if cancelled():
            raise CancelledError("stopped before the light stage")
        lights = self._lights(prepared, undone)
        compose = partial(
            composed, look=self._look, blend=blend, device=self._device, cancelled=cancelled
        )
        found = [
            Found(p, u, light.planes) for p, u, light in zip(prepared, undone, lights, strict=True)
        ]
        return [
            (pixels, _estimates(one, light))
            for pixels, one, light in zip(each(compose, found), found, lights, strict=True)
        ]

    def _lights(self, prepared: Sequence[Prepared], undone: Sequence[Undone]) -> list[_Light]:
        """Predict light and scatter from small copies of the sensor stage's output, as one batch."""
        stage = self._network.light
        fields = found = None
        if stage is not None:
            seen, masks = self._reduced(prepared, undone, size=stage.size)
            fields = self._fields(seen, masks, undone)
        if fields is not None:
            found = planes(fields)
        share = self._scattered(prepared, undone, found)
        if share is not None:
            found = unscattered(found, seen, masks, share)
        told = []
        for index, one in enumerate(undone):
            numbers = [torch.isfinite(one.copy.sum()).float()]
            if fields is not None and found is not None:
                own = fields.of(index)
                numbers += [own.veil.mean(), own.light.mean(1).std()]
                numbers += [found.of(index).neutral.float()]
                numbers += [share[index] if share is not None else numbers[0].new_zeros(())]
            told.append(torch.stack(numbers))
        lights = []
        for index, (finite, *numbers) in enumerate(torch.stack(told).tolist()):
            if not finite:
                raise ImageError("non_finite", "the network produced values that are not finite")
            if found is None:
                lights.append(_Light(None, 0.0, 0.0))
                continue
            veil, unevenness, neutral, scattered = numbers
            veil = 1 - (1 - veil) * (1 - scattered)
            lights.append(_Light(None if neutral else found.of(index), veil, unevenness))
        return lights

    def _scattered(
        self, prepared: Sequence[Prepared], undone: Sequence[Undone], light: Planes | None
    ) -> torch.Tensor | None:
        """Scattered share of each image after its light is undone; None without such a stage."""
        if self._network.scatter is None or light is None:
            return None
        seen, masks = self._reduced(prepared, undone, size=SCATTER_SIZE)
        maps = [p.copy.fitted(p.given.vessels, size=SCATTER_SIZE) for p in prepared]
        vessels = [found for found in maps if found is not None]
        even = light.resized(SCATTER_SIZE).apply(seen).clamp(0, 1)
        return self._network.scattered(even, masks, joined(vessels) if vessels else None)

    def _reduced(
        self, prepared: Sequence[Prepared], undone: Sequence[Undone], *, size: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Small copies of the sensor stage's output, and their fields of view."""
        seen, masks = [], []
        for image, one in zip(prepared, undone, strict=True):
            inside = plane(image.copy.disc, self._device)
            small = F.interpolate(one.copy.clamp(0, 1) * inside, size=(size, size), mode="area")
            masks.append((F.interpolate(inside, size=(size, size), mode="area") > 0.98).float())
            seen.append(small * masks[-1])
        return joined(seen), joined(masks)

    def _fields(
        self, seen: torch.Tensor, masks: torch.Tensor, undone: Sequence[Undone]
    ) -> Fields | None:
        sensed = Sensed.joined([one.sensed for one in undone])
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
            fields = self._network.light_of(seen, masks, sensed)
        return fields.believed() if fields is not None else None


def _estimates(found: Found, light: _Light) -> Estimates:
    copy, diameter = found.image.copy, 2 * found.image.given.fov.radius
    return Estimates(
        blur=found.undone.blur * copy.factor / diameter * 1000,
        noise=found.undone.noise * 100,
        compression=min(1.0, found.undone.jpeg),
        veil=light.veil, unevenness=light.unevenness,
    )  # fmt: skip
