"""MAGE-Net as restoration: the whole network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.restoration.bands import Bands, detail_bands
from magenet_batch.models.restoration.config import RestorationConfig
from magenet_batch.models.restoration.exposure import exposed
from magenet_batch.models.restoration.fields import Fields, Planes, planes
from magenet_batch.models.restoration.light import LightStage
from magenet_batch.models.restoration.scatter import (
    GRID,
    SIZE,
    ScatterStage,
    reduced,
    unscattered,
    vessel_contrast,
)
from magenet_batch.models.restoration.sense import Sense, Sensed
from magenet_batch.models.restoration.sensor import SensorStage
from magenet_batch.models.restoration.spots import SpotsStage, nothing_added, unspotted
from magenet_batch.models.restoration.statistics import statistics_of
from magenet_batch.models.structure import StructureModule

STRUCTURE_SIZE = 512
"""Side of the square around the field of view in which vessels are detected, pixels."""
_SMALL = 128  # side of the squares of a network without a light stage


class Squares(NamedTuple):
    """Reduced copies of images.

    Attributes:
        pixels: (B, 3, S, S), RGB, 0..1, black outside the field of view.
        mask: (B, 1, S, S) of 0 and 1, field of view.
    """

    pixels: torch.Tensor
    mask: torch.Tensor

    @classmethod
    def of(
        cls, x_B3HW: torch.Tensor, mask_B1HW: torch.Tensor, *, sizes: Sequence[int], least: float
    ) -> list[Squares]:
        """Reduce images to several sizes.

        Args:
            x_B3HW: squares, RGB.
            mask_B1HW: field of view, 0 or 1.
            sizes: sides of the results, pixels.
            least: a pixel belongs to the field of view if more of it than this lies inside.
        """
        x = x_B3HW.clamp(0, 1) * mask_B1HW
        found = []
        for size in sizes:
            small = reduced(x, size)
            mask = (reduced(mask_B1HW, size) > least).to(small.dtype)
            found.append(cls(small * mask, mask))
        return found

    def without(self, added_B3SS: torch.Tensor) -> Squares:
        """The same without the light that spots add; that is given at any size."""
        size = self.pixels.shape[-2:]
        if added_B3SS.shape[-2:] != size:
            added_B3SS = F.interpolate(added_B3SS, size=size, mode="bilinear", align_corners=False)
        return self._replace(pixels=(self.pixels - added_B3SS).clamp(0, 1) * self.mask)


class Faults(NamedTuple):
    """What takes contrast beside scattered light.

    Attributes:
        blur: standard deviation of the blur, share of the side of the square, (B,).
        noise: standard deviation of the noise, for a range of 0..1, alike.
        jpeg: loss by compression, 0..1, alike.
    """

    blur: torch.Tensor
    noise: torch.Tensor
    jpeg: torch.Tensor


class Restorer(nn.Module):
    """Estimates what is wrong, undoes those of the sensor, then spots, then light.

    A new network is the identity.
    """

    def __init__(self, config: RestorationConfig) -> None:
        super().__init__()
        self.config = config
        self.structure = StructureModule(config.structure) if config.structure else None
        self.sense = Sense(config.sense)
        self.sensor: SensorStage | None = None
        if config.sensor is not None:
            self.sensor = SensorStage(config.sensor, told=self.sense.width)
        self.spots = SpotsStage(config.spots) if config.spots is not None else None
        self.light = LightStage(config.light) if config.light is not None else None
        self.scatter: ScatterStage | None = None
        if config.scatter is not None and self.structure is not None:
            self.scatter = ScatterStage(config.scatter)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of the squares in which scatter, if there is a stage, and light are seen."""
        light = self.light.size if self.light is not None else _SMALL
        return (light,) if self.scatter is None else (SIZE, light)

    def sensed(
        self, x_B3HW: torch.Tensor, inner_B1HW: torch.Tensor, *, bands: Bands | None = None
    ) -> Sensed:
        """Estimate what is wrong with whole images, in float32 under autocast too.

        Args:
            x_B3HW: whole images, RGB, 0..1, continued smoothly outside the field of view.
            inner_B1HW: 1 well inside the field of view, else 0.
            bands: bands of the images, if they are already known.
        """
        with torch.autocast(x_B3HW.device.type, enabled=False):
            result: Sensed = self.sense(
                statistics_of(bands or detail_bands(x_B3HW.float()), inner_B1HW)
            )
        return result

    def undo_sensor(
        self,
        x_B3HW: torch.Tensor,
        sensed: Sensed,
        vessels_B1HW: torch.Tensor | None,
        *,
        bands: Bands | None = None,
    ) -> torch.Tensor:
        """Undo blur, noise and compression as far as Sense believes in them.

        Light and veil stay as they are. Where no image is faulty, the stage does not run. Its
        changes are multiplied by its strength where there is neither noise nor compression.

        Args:
            x_B3HW: whole images or tiles, RGB, 0..1, continued smoothly outside the field of view;
                sides multiples of 8.
            sensed: output of `sensed` for the whole images.
            vessels_B1HW: probability of vessel, 0..1, or None without a structure module.
            bands: bands of `x_B3HW`, if they are already known.

        Returns:
            (B, 3, H, W) float32, not clipped.
        """
        share = sensed.faulty
        if self.sensor is None or not bool(share.any()):
            return x_B3HW
        restored: torch.Tensor = self.sensor(x_B3HW, sensed, vessels_B1HW, bands=bands)
        share, smooth = (t[:, None, None, None] for t in (share, sensed.only_blurred))
        share = share * (1 - smooth) + share * smooth * self.sensor.strengths(vessels_B1HW)
        return torch.lerp(x_B3HW, restored, share.to(restored.dtype))

    def spots_of(self, small: Squares) -> torch.Tensor | None:
        """The light that spots add, as far as it is believed, in float32; None if nothing is added.

        Args:
            small: squares at the size of the light stage, from the output of `undo_sensor`.

        Returns:
            (B, 3, S, S); 0 where there is no spot.
        """
        if self.spots is None:
            return None
        with torch.autocast(small.pixels.device.type, enabled=False):
            added = self.spots.found(*small)
        return None if nothing_added(added) else added

    def light_of(
        self, x_B3SS: torch.Tensor, mask_B1SS: torch.Tensor, sensed: Sensed
    ) -> Fields | None:
        """Predict the light of whole images, in float32; None if the network has no light stage.

        An image that would become much darker is exposed as it was.

        Args:
            x_B3SS: squares at the size of the light stage, RGB, 0..1, black outside the field of
                view.
            mask_B1SS: field of view, 0..1.
            sensed: output of `sensed` for the same images at working size.
        """
        if self.light is None:
            return None
        with torch.autocast(x_B3SS.device.type, enabled=False):
            views = self.light.config.views
            fields = self.light(x_B3SS, mask_B1SS, sensed.statistics, views=views)
            return exposed(fields, x_B3SS, mask_B1SS)

    def undo_light(
        self,
        fields: Fields | None,
        small: Squares,
        close: Squares | None,
        vessels_B1SS: torch.Tensor | None,
        faults: Faults,
    ) -> tuple[Planes, torch.Tensor | None]:
        """Join light, veil and scatter into the gain and offset of each pixel, in float32.

        Args:
            fields: output of `light_of`, believed; None leaves light and veil.
            small: squares at the size of the light stage.
            close: the same squares at `scatter.SIZE`, for a network with a scatter stage.
            vessels_B1SS: probability of vessel in these, alike.
            faults: what the sensor stage undid.

        Returns:
            Gain and offset; and the share of the light that is scattered, (B,), None if the network
            has no scatter stage.
        """
        light = planes(fields) if fields is not None else Planes.neutral_for(small.pixels)
        if self.scatter is None:
            return light, None
        light = light.resized(GRID)  # always, so that no image depends on others of its batch
        if close is None or vessels_B1SS is None:
            return light, None
        with torch.autocast(small.pixels.device.type, enabled=False):
            even = light.resized(SIZE).apply(close.pixels).clamp(0, 1)
            told = vessel_contrast(even, vessels_B1SS, close.mask)
            share: torch.Tensor = self.scatter(*told, *faults)
            return unscattered(light, small.pixels, small.mask, share), share

    def light_and_scatter(
        self,
        y_B3SS: torch.Tensor,
        mask_B1SS: torch.Tensor,
        sensed: Sensed,
        vessels_B1SS: torch.Tensor | None,
    ) -> Planes:
        """Gain and offset of whole squares, which undo spots, light, veil and scatter.

        Args:
            y_B3SS: output of `undo_sensor`.
            mask_B1SS: field of view, 0 or 1.
            sensed: output of `sensed` for the same squares.
            vessels_B1SS: output of `vessels`, alike.
        """
        copies = Squares.of(y_B3SS, mask_B1SS, sizes=self.sizes, least=0.99)
        added = self.spots_of(copies[-1])
        if added is not None:
            copies = [copy.without(added) for copy in copies]
        *close, small = copies
        fields = self.light_of(*small, sensed)
        likely = None if vessels_B1SS is None else reduced(vessels_B1SS, SIZE)
        believed = None if fields is None else fields.believed()
        faults = Faults(sensed.blur / y_B3SS.shape[-1], sensed.noise, sensed.jpeg)
        found, _ = self.undo_light(believed, small, close[0] if close else None, likely, faults)
        return found if added is None else unspotted(found, added)

    def vessels(self, x_B3HW: torch.Tensor) -> torch.Tensor | None:
        """Probability of vessel at the size of the images, detected at `STRUCTURE_SIZE`."""
        if self.structure is None:
            return None
        size = (STRUCTURE_SIZE, STRUCTURE_SIZE)
        small = F.interpolate(x_B3HW, size=size, mode="bilinear", antialias=True)
        logits = self.structure(small).logits.float()
        logits = F.interpolate(logits, size=x_B3HW.shape[-2:], mode="bilinear", align_corners=False)
        return torch.sigmoid(logits)

    def forward(self, x_B3SS: torch.Tensor, mask_B1SS: torch.Tensor) -> torch.Tensor:
        """Restore whole square images at their own size: (B, 3, S, S), not clipped."""
        sensed = self.sensed(x_B3SS, mask_B1SS)
        vessels = self.vessels(x_B3SS)
        y = self.undo_sensor(x_B3SS, sensed, vessels)
        found = self.light_and_scatter(y, mask_B1SS, sensed, vessels)
        return y if bool(found.neutral) else found.resized(x_B3SS.shape[-1]).apply(y)
