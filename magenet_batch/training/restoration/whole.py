"""Whole images in bad light, made once: a small copy, and the statistics of the image at full size.

The tone is told from a small copy of an image after the sensor stage, and from the statistics of
its bands at working size. Making those takes far longer than a training step, so that each is made
once and used many times. They are kept in files, and training resumes where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from safetensors.torch import save

from magenet_batch.degradation import DegradationParams
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.models.restoration.network import Restorer, Squares
from magenet_batch.models.restoration.rim import continued, inner
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
        seen: small copies after the sensor and spots stages, (N, 3, S, S) uint8, black outside
            the field of view.
        wanted: small copies of the clean images, alike.
        mask: field of view, (N, 1, S, S) uint8 of 0 and 1.
        seen_statistics: standardised statistics of what is seen, (N, `STATISTICS`).
        wanted_statistics: those of the clean images, alike.
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


@torch.no_grad()
def whole_image(
    network: Restorer, image_3HW: torch.Tensor, mask_1HW: torch.Tensor, params: DegradationParams
) -> WholeImages:
    """Degrade a whole image, and undo what precedes the light stage, as inference does.

    Args:
        network: its Sense, sensor and spots stages are used as they are, on the CPU.
        image_3HW: photograph at working size, 0..1, black outside the field of view; sides
            multiples of 8.
        mask_1HW: field of view, 0 or 1.
        params: how it is degraded.
    """
    size = network.sizes[-1]
    clean, mask = image_3HW[None], mask_1HW[None]
    seen = apply_degradation(clean, [params], mask_B1HW=mask)
    inside = mask_1HW[0].numpy().astype(np.uint8)
    within = torch.from_numpy(inner(inside)).float()[None, None]
    small, told = [], []
    for x in (seen, clean):
        rounded = (x.clamp(0, 1) * mask * 255).round() / 255
        pixels = np.ascontiguousarray(rounded[0].permute(1, 2, 0).numpy())
        smooth = torch.from_numpy(continued(pixels, inside)).permute(2, 0, 1)[None]
        sensed = network.sensed(smooth, within)
        if x is seen:
            smooth = network.undo_sensor(smooth, sensed, network.vessels(smooth))
        [square] = Squares.of(smooth, mask, sizes=(size,), least=_LEAST_INSIDE)
        added = network.spots_of(square) if x is seen else None
        small.append(square if added is None else square.without(added))
        told.append(sensed.statistics)
    worse, better = ((s.pixels * 255).round().to(torch.uint8).contiguous() for s in small)
    return WholeImages(worse, better, small[0].mask.to(torch.uint8), *told)


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
