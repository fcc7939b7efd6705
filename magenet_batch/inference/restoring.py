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

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from magenet_batch.errors import CancelledError, ImageError
from magenet_batch.inference.batching import Each, joined
from magenet_batch.inference.composing import Found, composed
from magenet_batch.inference.pixels import plane
from magenet_batch.inference.preparing import Given, Prepared
from magenet_batch.inference.sensing import SensorRunner, Undone
from magenet_batch.models.restoration.fields import Fields, Planes
from magenet_batch.models.restoration.network import Faults, Restorer, Squares
from magenet_batch.models.restoration.scatter import SIZE as SCATTER_SIZE
from magenet_batch.models.restoration.sense import Sensed
from magenet_batch.models.restoration.spots import unspotted
from magenet_batch.settings import Look

_SEEN = 0.02  # change of light that counts as part of a spot
_INSIDE = 0.98  # share of a small pixel that must lie inside the field of view


@dataclass(frozen=True)
class Estimates:
    """What the network estimates was wrong with an image.

    Attributes:
        blur: standard deviation of the blur, per mille of the diameter of the field of view.
        noise: standard deviation of the noise at the network's working size, percent of the range.
        compression: loss by JPEG compression, 0 (none) .. 1 (quality 25).
        veil: mean density of the veil, scattered light included, 0..1.
        unevenness: standard deviation of the logarithm of the light over the field of view.
        spots: share of the field of view where dust or droplets change the light by more than 2 %
            of the range, 0..1.
    """

    blur: float
    noise: float
    compression: float
    veil: float
    unevenness: float
    spots: float


@dataclass(frozen=True)
class _Light:
    """Light of one image: None if nothing is to be changed; and what was estimated."""

    planes: Planes | None
    veil: float
    unevenness: float
    spots: float


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
        spots: bool = True,
    ) -> list[tuple[np.ndarray, Estimates]]:
        """Restore images inside their fields of view, and in the notches of their edges.

        Args:
            images: the images; at least one.
            blend: weight of the restored images in the results, 0..1.
            cancelled: called between steps; return True to stop.
            each: applies a function to every image, in inference mode: what the host does image by
                image can be done in several threads.
            spots: take dust and droplets away.

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
        lights = self._lights(prepared, undone, spots=spots)
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

    def _lights(
        self, prepared: Sequence[Prepared], undone: Sequence[Undone], *, spots: bool
    ) -> list[_Light]:
        """Predict spots, light and scatter from small copies of what the sensor stage returned."""
        network = self._network
        faults = [(one.blur / one.copy.shape[-1], one.noise, one.jpeg) for one in undone]
        acts = network.scatter is not None and any(network.scatter.acts(*each) for each in faults)
        copies = self._reduced(prepared, undone, network.sizes if acts else network.sizes[-1:])
        added = self._spots(copies[-1], prepared) if spots else None
        if added is not None:
            copies = [copy.without(added) for copy in copies]
        *others, small = copies
        close = vessels = None
        if others:
            close = others[0]
            maps = [p.copy.fitted(p.given.vessels, size=SCATTER_SIZE) for p in prepared]
            vessels = joined([found for found in maps if found is not None])
        fields = self._fields(small, prepared, undone)
        found, share = network.undo_light(
            fields, small, close, vessels, Faults(*torch.tensor(faults).to(self._device).T)
        )
        told = []
        for index, one in enumerate(undone):
            finite = torch.isfinite(one.copy.sum()).float()
            numbers = [finite, found.of(index).neutral.float(), *[torch.zeros_like(finite)] * 5]
            if fields is not None:
                own = fields.of(index)
                numbers[2:4] = own.veil.mean(), own.light.mean(1).std()
            if share is not None:
                numbers[4] = share[index]
            if added is not None:
                seen = (added[index].abs().amax(0) > _SEEN).float()
                numbers[5:7] = (
                    added[index].abs().amax(),
                    seen.sum() / small.mask[index].sum().clamp_min(1),
                )
            told.append(torch.stack(numbers))
        lights = []
        for index, (finite, neutral, *numbers) in enumerate(torch.stack(told).tolist()):
            if not (finite and all(map(math.isfinite, numbers))):
                raise ImageError("non_finite", "the network produced values that are not finite")
            veil, unevenness, scattered, strongest, spotted = numbers
            light = None if neutral else found.of(index)
            if added is not None and strongest:
                light = unspotted(found.of(index), added[index : index + 1])
            lights.append(_Light(light, 1 - (1 - veil) * (1 - scattered), unevenness, spotted))
        return lights

    def _reduced(
        self, prepared: Sequence[Prepared], undone: Sequence[Undone], sizes: Sequence[int]
    ) -> list[Squares]:
        """Small copies of the sensor stage's output, as batches of these sizes."""
        each = [
            Squares.of(one.copy, plane(image.copy.disc, self._device), sizes=sizes, least=_INSIDE)
            for image, one in zip(prepared, undone, strict=True)
        ]
        return [
            Squares(joined([s.pixels for s in same]), joined([s.mask for s in same]))
            for same in zip(*each, strict=True)
        ]

    def _spots(self, small: Squares, prepared: Sequence[Prepared]) -> torch.Tensor | None:
        """The light that spots add; scanned film keeps its own dust."""
        added = self._network.spots_of(small)
        share = self._no_film(prepared)
        return added if added is None or share is None else added * share.view(-1, 1, 1, 1)

    def _fields(
        self, small: Squares, prepared: Sequence[Prepared], undone: Sequence[Undone]
    ) -> Fields | None:
        """Light and veil as far as they are believed; scanned film keeps its own.

        Training has seen cameras, whose border is black. The base of a film lies over the whole
        picture and passes for a veil, and without it colours are too red.
        """
        sensed = Sensed.joined([one.sensed for one in undone])
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
            fields = self._network.light_of(*small, sensed)
        if fields is None:
            return None
        believed, share = fields.believed(), self._no_film(prepared)
        return believed if share is None else believed.scaled(share)

    def _no_film(self, prepared: Sequence[Prepared]) -> torch.Tensor | None:
        """How surely each picture is no scanned film, (B,); None where none may be."""
        film = [image.film for image in prepared]
        return 1 - torch.tensor(film, device=self._device) if any(film) else None


def _estimates(found: Found, light: _Light) -> Estimates:
    copy, diameter = found.image.copy, 2 * found.image.given.fov.radius
    return Estimates(
        blur=found.undone.blur * copy.factor / diameter * 1000,
        noise=found.undone.noise * 100,
        compression=min(1.0, found.undone.jpeg),
        veil=light.veil, unevenness=light.unevenness, spots=light.spots,
    )  # fmt: skip
