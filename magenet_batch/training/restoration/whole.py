"""Whole images in bad light, made once: a small copy, and the statistics of the image at full size.

The light stage sees a small copy of an image and the statistics of its bands at working size.
Degrading images at that size takes far longer than a training step, so that each is made once and
used many times, turned and mirrored. They are kept in files, and training resumes where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save

from magenet_batch.degradation import DegradationParams
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.models.restoration.bands import detail_bands
from magenet_batch.models.restoration.rim import continued, inner
from magenet_batch.models.restoration.statistics import statistics_of
from magenet_batch.storage import write_atomic
from magenet_batch.training.checkpoint import read_tensors
from magenet_batch.training.part import PhaseOfRun

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

WHOLE = "whole images"
"""Name of this phase."""
WHOLE_FOLDER = "whole-images"
"""Folder of its files in the folder of a run."""
_PER_FILE = 16
_LEAST_INSIDE = 0.98  # share of a small pixel that must lie inside the field of view


Set = TypeVar("Set", bound="DataclassInstance")


@dataclass(frozen=True)
class WholeImages:
    """Pairs of N whole images.

    Attributes:
        seen: small copies, (N, 3, S, S) uint8, black outside the field of view.
        wanted: what they should become, alike.
        mask: field of view, (N, 1, S, S) uint8 of 0 and 1.
        seen_statistics: statistics of what is seen at working size, (N, `STATISTICS`).
        wanted_statistics: statistics of what is wanted, alike.
    """

    seen: torch.Tensor
    wanted: torch.Tensor
    mask: torch.Tensor
    seen_statistics: torch.Tensor
    wanted_statistics: torch.Tensor

    def __len__(self) -> int:
        return len(self.mask)

    def __getitem__(self, chosen: torch.Tensor) -> WholeImages:
        return WholeImages(*(t[chosen] for t in vars(self).values()))

    def turned(self) -> WholeImages:
        """The same images, turned by a right angle and mirrored: their statistics hardly change."""

        def other(x: torch.Tensor) -> torch.Tensor:
            return torch.rot90(x, 1, (2, 3)).flip(3).contiguous()

        return replace(
            self, seen=other(self.seen), wanted=other(self.wanted), mask=other(self.mask)
        )


def whole_images(
    images_B3HW: torch.Tensor,
    mask_B1HW: torch.Tensor,
    *,
    seen: list[DegradationParams],
    wanted: list[DegradationParams] | None,
    size: int,
) -> WholeImages:
    """Degrade whole images, and reduce them.

    Args:
        images_B3HW: photographs at working size, 0..1, black outside the field of view.
        mask_B1HW: field of view, 0 or 1.
        seen: how each image is degraded.
        wanted: how what is wanted is degraded; None: not at all.
        size: side of the small copies, pixels.
    """
    share = F.interpolate(mask_B1HW, size=(size, size), mode="area")
    mask = (share > _LEAST_INSIDE).float()

    def reduced(params: list[DegradationParams] | None) -> tuple[torch.Tensor, torch.Tensor]:
        x = images_B3HW
        if params is not None:
            x = apply_degradation(x, params, mask_B1HW=mask_B1HW)
        x = (x.clamp(0, 1) * mask_B1HW * 255).round() / 255
        small = F.interpolate(x, size=(size, size), mode="area") * mask
        statistics = [_statistics(*pair) for pair in zip(x, mask_B1HW, strict=True)]
        return (small * 255).round().to(torch.uint8), torch.cat(statistics)

    (worse, of_worse), (better, of_better) = reduced(seen), reduced(wanted)
    return WholeImages(worse, better, mask.to(torch.uint8), of_worse, of_better)


def _statistics(x_3HW: torch.Tensor, mask_1HW: torch.Tensor) -> torch.Tensor:
    """Statistics of one image as inference takes them: (1, `STATISTICS`)."""
    inside = mask_1HW[0].numpy().astype(np.uint8)
    pixels = np.ascontiguousarray(x_3HW.permute(1, 2, 0).numpy())
    smooth = torch.from_numpy(continued(pixels, inside)).permute(2, 0, 1)[None]
    within = torch.from_numpy(inner(inside)).float()[None, None]
    return statistics_of(detail_bands(smooth), within)


def gather_whole_images(
    make: Callable[[int], WholeImages], folder: Path, *, count: int, run: PhaseOfRun
) -> WholeImages | None:
    """Make the whole images that are not in a folder yet, and read all of them.

    Args:
        make: makes the image of a number, always the same one.
        folder: folder of the files.
        count: number of images.
        run: reports progress, and tells when to stop.

    Returns:
        The images; None after a stop, when the images of all complete files are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{first:06d}.safetensors" for first in range(0, count, _PER_FILE)]
    started = time.monotonic()
    run.reporter.part(WHOLE, step=0, steps=count, minutes=0.0)
    for index, path in enumerate(paths):
        if path.is_file():
            continue
        made: list[WholeImages] = []
        for number in range(index * _PER_FILE, min((index + 1) * _PER_FILE, count)):
            made.append(make(number))
            run.reporter.step(number + 1, {}, seconds=time.monotonic() - started)
        write_atomic(path, save(dict(vars(joined(made)))))
        if run.stopped() and path != paths[-1]:  # every call makes at least one file
            return None
    return joined([WholeImages(**read_tensors(path)) for path in paths])


def joined(parts: Sequence[Set]) -> Set:
    """Join sets of images, dataclasses of tensors with one row per image, into one."""
    names = (f.name for f in fields(parts[0]))
    return type(parts[0])(*(torch.cat([getattr(part, name) for part in parts]) for name in names))
