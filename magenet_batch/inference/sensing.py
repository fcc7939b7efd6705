"""The sensor stage on the reduced copies of several images, those of one size together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from magenet_batch.inference.batching import Each, alike, joined
from magenet_batch.inference.pixels import float_tensor, plane
from magenet_batch.inference.preparing import Prepared
from magenet_batch.models.restoration.bands import detail_bands
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.restoration.rim import continued, relit_rim, trusted
from magenet_batch.models.restoration.sense import Sensed


@dataclass(frozen=True)
class Undone:
    """A copy after the sensor stage.

    Attributes:
        copy: (1, 3, S, S), the copy without blur, noise and compression, not clipped.
        change: what that changed in it, of the same shape; None if nothing.
        sensed: what the network senses in the copy, a batch of one.
        blur: standard deviation of the blur, pixels of the copy.
        noise: standard deviation of the noise, for a range of 0..1.
        jpeg: loss by compression, 0..1.
    """

    copy: torch.Tensor
    change: torch.Tensor | None
    sensed: Sensed
    blur: float
    noise: float
    jpeg: float


class SensorRunner:
    """Senses what is wrong with copies, and undoes blur, noise and compression.

    Args:
        network: in float32, on its device.
        device: where to compute.
        autocast: run the stage in bf16.
    """

    def __init__(self, network: Restorer, *, device: torch.device, autocast: bool) -> None:
        self._network, self._device, self._autocast = network, device, autocast

    def undo(self, images: Sequence[Prepared], *, each: Each) -> list[Undone]:
        """Undo the faults of the sensor, of copies of one size as one batch.

        The stage runs for the faulty ones only: the others keep their bits.

        Args:
            images: the images, prepared.
            each: applies a function to every image.
        """
        found: dict[int, Undone] = {}
        for indices in alike([image.seen for image in images]):
            undone = self._undo_alike([images[i] for i in indices], each)
            found.update(zip(indices, undone, strict=True))
        return [found[i] for i in range(len(images))]

    def _undo_alike(self, images: Sequence[Prepared], each: Each) -> list[Undone]:
        count = len(images)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
            seen = joined([image.seen for image in images])
            bands = detail_bands(seen)
            inside = joined([plane(image.inner, self._device) for image in images])
            sensed = self._network.sensed(seen, inside, bands=bands)
            # The one time that a batch waits for the device here.
            numbers = torch.stack([sensed.blur, sensed.noise, sensed.jpeg, sensed.faulty]).T
            told: list[list[float]] = numbers.tolist()
            rims = list(each(_relit, zip(images, [blur for blur, *_ in told], strict=True)))
            of_image = [seen[i : i + 1] for i in range(count)]
            relit = [i for i in range(count) if rims[i] is not images[i].copy.pixels]
            for i in relit:
                of_image[i] = float_tensor(continued(rims[i], images[i].copy.mask), self._device)
            faulty = [i for i in range(count) if told[i][3] and self._network.sensor is not None]
            known = None if relit or len(faulty) < count else bands
            del bands  # they are as large as eight copies
            sharp: dict[int, torch.Tensor] = {}
            if faulty:
                x = seen if known is not None else joined([of_image[i] for i in faulty])
                maps = [images[i].copy.fitted(images[i].given.vessels) for i in faulty]
                vessels = [found for found in maps if found is not None]
                undone = self._network.undo_sensor(
                    x,
                    Sensed.joined([sensed.of(i) for i in faulty]),
                    joined(vessels) if vessels else None,
                    bands=known,
                )
                sharp = {i: undone[n : n + 1] for n, i in enumerate(faulty)}
        changes = each(
            partial(_changed, device=self._device),
            [
                _Change(image, told[i][0], rims[i], of_image[i], sharp.get(i))
                for i, image in enumerate(images)
            ],
        )
        return [
            Undone(copy, change, sensed.of(i), *told[i][:3])
            for i, (copy, change) in enumerate(changes)
        ]


@dataclass(frozen=True)
class _Change:
    """A copy, its blur, its relit rim, what the stage saw of it, and what it made of that."""

    image: Prepared
    blur: float
    rim: np.ndarray
    seen: torch.Tensor
    undone: torch.Tensor | None


def _relit(image_and_blur: tuple[Prepared, float]) -> np.ndarray:
    image, blur = image_and_blur
    return relit_rim(image.copy.pixels, image.copy.mask, blur=blur)


def _changed(what: _Change, *, device: torch.device) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The copy with what was undone as far as it is trusted near the rim, and that change."""
    copy = what.image.copy
    x = float_tensor(copy.pixels, device)
    is_relit = what.rim is not copy.pixels
    if what.undone is None and not is_relit:
        return x, None
    relit, restored = (plane(weight, device) for weight in trusted(copy.mask, blur=what.blur))
    undone = what.seen if what.undone is None else what.undone
    change = restored * (undone - what.seen)
    if is_relit:
        change = torch.addcmul(change, relit, float_tensor(what.rim, device) - x)
    return x + change, change
