"""MAGE-Net as restoration: the whole network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.restoration.bands import Bands, detail_bands
from magenet_batch.models.restoration.config import RestorationConfig
from magenet_batch.models.restoration.exposure import exposed
from magenet_batch.models.restoration.fields import Fields, planes
from magenet_batch.models.restoration.light import LightStage
from magenet_batch.models.restoration.scatter import ScatterStage, vessel_contrast
from magenet_batch.models.restoration.sense import Sense, Sensed
from magenet_batch.models.restoration.sensor import SensorStage
from magenet_batch.models.restoration.statistics import statistics_of
from magenet_batch.models.structure import StructureModule

STRUCTURE_SIZE = 512
"""Side of the square around the field of view in which vessels are detected, pixels."""


class Restorer(nn.Module):
    """Estimates what is wrong, undoes the faults of the sensor, then those of the light.

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
        self.light = LightStage(config.light) if config.light is not None else None
        self.scatter = ScatterStage(config.scatter) if config.scatter is not None else None

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
        share = share * (1 + (self.sensor.strengths(vessels_B1HW) - 1) * smooth)
        return torch.lerp(x_B3HW, restored, share.to(restored.dtype))

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
            fields: Fields = self.light(x_B3SS, mask_B1SS, sensed.statistics)
            return exposed(fields, x_B3SS, mask_B1SS)

    def scattered(
        self,
        y_B3SS: torch.Tensor,
        mask_B1SS: torch.Tensor,
        vessels_B1SS: torch.Tensor | None,
    ) -> torch.Tensor | None:
        """Estimate the share of light that the eye's media scattered, in float32.

        Args:
            y_B3SS: squares of `scatter.SIZE` pixels whose light is undone, RGB, 0..1.
            mask_B1SS: field of view, 0 or 1.
            vessels_B1SS: probability of vessel in the same squares, or None without a structure
                module.

        Returns:
            (B,), 0..1; None if the network has no scatter stage.
        """
        if self.scatter is None or vessels_B1SS is None:
            return None
        with torch.autocast(y_B3SS.device.type, enabled=False):
            share: torch.Tensor = self.scatter(*vessel_contrast(y_B3SS, vessels_B1SS, mask_B1SS))
        return share

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
        y = self.undo_sensor(x_B3SS, sensed, self.vessels(x_B3SS))
        if self.light is None:
            return y
        size = (self.light.size, self.light.size)
        small = F.interpolate(y.clamp(0, 1), size=size, mode="area")
        inside = (F.interpolate(mask_B1SS, size=size, mode="area") > 0.99).to(small.dtype)
        fields = self.light_of(small, inside, sensed)
        assert fields is not None
        return planes(fields.believed()).resized(x_B3SS.shape[-1]).apply(y)
