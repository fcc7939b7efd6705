"""Training data and losses of Sense and the sensor stage."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.restoration.bands import detail_bands
from magenet_batch.models.restoration.sense import Sense, Sensed
from magenet_batch.models.restoration.sensor import SensorStage
from magenet_batch.models.restoration.statistics import band_statistics
from magenet_batch.models.structure import StructureModule
from magenet_batch.randomness import generator
from magenet_batch.training.data.ahead import Ahead
from magenet_batch.training.losses import dissimilarity, lost_contrast, structure_difference
from magenet_batch.training.restoration.config import SensorTrainingConfig
from magenet_batch.training.restoration.moments import estimate_error
from magenet_batch.training.restoration.views import Crops, Photograph, check_sizes, draw_crops

Losses = dict[str, torch.Tensor]
_LEAST, _LEAST_STEEP, _LEAST_UNLIKE, _LEAST_STRUCTURE = 3e-6, 1e-6, 0.005, 0.005
_WIDER = 5  # width in pixels by which vessels are widened where they count more
_CPU = torch.device("cpu")
_STRUCTURE_SIZE = 512  # diameter of the field of view, in pixels, at which vessels are detected


class SensorPart(nn.Module):
    """Sense and the sensor stage together: undoes blur, noise and compression."""

    def __init__(self, sense: Sense, sensor: SensorStage) -> None:
        super().__init__()
        self.sense, self.sensor = sense, sensor

    def forward(
        self,
        seen: torch.Tensor,
        inner: torch.Tensor,
        vessels: torch.Tensor | None,
        *,
        autocast: bool,
    ) -> tuple[torch.Tensor, Sensed]:
        """Restore crops; also return Sense's output."""
        bands = detail_bands(seen)
        sensed = self.sense(band_statistics(bands, inner))
        with torch.autocast(seen.device.type, torch.bfloat16, enabled=autocast):
            return self.sensor(seen, sensed, vessels, bands=bands), sensed


class SensorLessons:
    """Batches and losses of the sensor part.

    Args:
        photographs: sharp photographs.
        structure: the trained structure module, or None.
        config: configuration of this part.
        seed: random seed.
        autocast: run in bf16.
        device: device of the trained modules; crops are made on the CPU.
        loaders: processes that prepare training batches ahead.
    """

    def __init__(
        self,
        photographs: list[Photograph],
        structure: StructureModule | None,
        config: SensorTrainingConfig,
        *,
        seed: int,
        autocast: bool,
        device: torch.device = _CPU,
        loaders: int = 0,
    ) -> None:
        check_sizes(photographs, config)
        self._photographs, self._structure = photographs, structure
        self._config, self._seed, self._autocast = config, seed, autocast
        self.device = device
        self._ahead = Ahead(lambda step: self._crops("sensor", step), loaders=loaders)

    def batches(self, purpose: str, *, first: int = 0) -> Iterator[Crops]:
        """Yield batches of crops for a purpose, always the same ones."""
        step = first
        while True:
            yield self._crops(purpose, step)
            step += 1

    def drawn(self, step: int) -> Crops:
        """The crops of a step of training, on the device."""
        return self._ahead.at(step).to(self.device)

    def _crops(self, purpose: str, step: int) -> Crops:
        return draw_crops(generator(self._seed, purpose, step), self._photographs, self._config)

    def losses(self, student: nn.Module, teacher: nn.Module, step: int, share: float) -> Losses:
        """Compute the losses of one step: logarithms of the remaining share of each error.

        A decibel gained then counts the same at every level of error.
        """
        config = self._config
        crops = self.drawn(step)
        with torch.no_grad():
            guide = self.vessels(crops.seen, crops.side)
        found, sensed = student(
            crops.seen, crops.inner, torch.sigmoid(guide) if guide is not None else None,
            autocast=self._autocast,
        )  # fmt: skip
        x, y, m = crops.seen, crops.wanted, crops.mask
        with torch.no_grad():
            wanted = self.vessels(y, crops.side)
            at = torch.sigmoid(wanted) if wanted is not None else torch.zeros_like(m)
            weighted = with_vessels(m, at, more=config.vessels)
        losses = {
            "pixels": torch.log(mean_square(found - y, weighted) + _LEAST).mean(),
            "difference": config.difference
            * torch.log(steepness(found - y, weighted) + _LEAST_STEEP).mean(),
            "contrast": config.contrast * lost_contrast(found, y, m * at).mean(),
            "estimates": config.estimates * estimate_error(sensed, crops.facts),
        }
        # In turns: both are expensive, and neither needs every crop.
        if step % 2 == 0:
            left, had = dissimilarity(found, y, m), dissimilarity(x, y, m)
            losses["ssim"] = 2 * config.ssim * (left / (had + _LEAST_UNLIKE)).mean()
        elif guide is not None and config.structure:
            after = self.vessels(found.clamp(0, 1), crops.side)
            assert wanted is not None and after is not None
            had = structure_difference(guide, wanted, m)
            left = structure_difference(after, wanted, m)
            losses["structure"] = 2 * config.structure * (left / (had + _LEAST_STRUCTURE)).mean()
        losses["total"] = torch.stack(list(losses.values())).sum()
        with torch.no_grad():
            before = torch.log10(mean_square(x - y, m) + _LEAST)
            losses["decibel"] = (
                10 * (before - torch.log10(mean_square(found - y, m) + _LEAST)).mean()
            )
        return losses

    def close(self) -> None:
        """End the processes that prepare batches."""
        self._ahead.close()

    def vessels(self, x: torch.Tensor, side: float) -> torch.Tensor | None:
        """Vessel logits of crops, at the resolution that the structure module was trained on."""
        if self._structure is None:
            return None
        size = x.shape[-1]
        scaled = max(64, round(size * _STRUCTURE_SIZE / side / 32) * 32)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self._autocast):
            small = F.interpolate(
                x, size=(scaled, scaled), mode="bilinear", antialias=scaled < size
            )
            logits = self._structure(small).logits.float()
        return F.interpolate(logits, size=(size, size), mode="bilinear", align_corners=False)


def with_vessels(mask: torch.Tensor, vessels: torch.Tensor, *, more: float) -> torch.Tensor:
    """Weights of pixels in an error: those at vessels count `1 + more` times."""
    return mask * (1 + more * F.max_pool2d(vessels, _WIDER, stride=1, padding=_WIDER // 2))


def mean_square(d: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean squared difference inside the mask: (B,)."""
    return (d.square() * mask).sum((1, 2, 3)) / (3 * mask.sum((1, 2, 3))).clamp_min(1)


def psnr_of(d_BCHW: torch.Tensor, mask_B1HW: torch.Tensor) -> torch.Tensor:
    """PSNR of differences inside a mask, at most 60 dB: (B,)."""
    return -10 * torch.log10(mean_square(d_BCHW, mask_B1HW) + 1e-6)


def steepness(d: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean squared difference between neighbouring pixels inside the mask, over both axes: (B,)."""
    down = (d.diff(dim=2).square() * torch.minimum(mask[:, :, 1:], mask[:, :, :-1])).sum((1, 2, 3))
    across = (d.diff(dim=3).square() * torch.minimum(mask[..., 1:], mask[..., :-1])).sum((1, 2, 3))
    return (down + across) / (6 * mask.sum((1, 2, 3))).clamp_min(1)


@torch.no_grad()
def measure_sensor(part: SensorPart, lessons: SensorLessons, *, batches: int) -> dict[str, float]:
    """Decibels gained on held-out photographs over doing nothing, and the PSNR of clean ones."""
    gains: list[float] = []
    clean: list[float] = []
    source = lessons.batches("validation")
    for _ in range(batches):
        crops = next(source).to(lessons.device)
        for x, into in ((crops.seen, gains), (crops.wanted, clean)):
            guide = lessons.vessels(x, crops.side)
            found, _ = part(x, crops.inner, torch.sigmoid(guide) if guide is not None else None,
                            autocast=lessons._autocast)  # fmt: skip
            error = 10 * torch.log10(mean_square(found - crops.wanted, crops.mask) + 1e-7)
            if x is crops.seen:
                own = 10 * torch.log10(mean_square(x - crops.wanted, crops.mask) + 1e-7)
                into += (own - error)[own > -55].tolist()
            else:
                into += (-error).tolist()
    means = {"gain": gains, "clean": clean}
    return {name: sum(values) / len(values) for name, values in means.items() if values}
