"""What fewer passes over the pixels save at 512 px: each form beside those it was chosen over.

    python benchmarks/passes.py [-o benchmarks/results/passes.json]
    python benchmarks/passes.py --cost

One thread; CPU milliseconds, the fastest of many runs in turns, with a cache that other data have
filled in between. `--cost` only compares the weights `small` with `affine` on one image on which
every stage works; it runs in older versions too.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.models.memory import keep_freed_memory
from magenet_batch.phantom import make_phantom

SIZE = 496  # side of the square around the field of view of the phantom
RUNS = 15
Forms = dict[str, Callable[[], Any]]


def in_turns(forms: Forms) -> dict[str, float]:
    """CPU milliseconds of each form, the fastest of many runs."""
    other = torch.rand(16_000_000)
    least = dict.fromkeys(forms, float("inf"))
    for turn in range(RUNS + 1):
        for name, work in forms.items():
            other.add_(1)  # fills the cache
            start = time.process_time()
            work()
            if turn:
                least[name] = min(least[name], 1000 * (time.process_time() - start))
    return least


def summed_bands(x: torch.Tensor, steps: tuple[tuple[int, int], ...]) -> list[torch.Tensor]:
    """Bands by sums of two neighbours, and a division at the end."""
    found = []
    for sums, spacing in steps:
        y = F.pad(x, (sums * spacing // 2,) * 4, mode="reflect")
        for axis in (2, 3):
            for _ in range(sums):
                rest = y.shape[axis] - spacing
                y = y.narrow(axis, 0, rest) + y.narrow(axis, spacing, rest)
        y = y / 4**sums
        found.append(x - y)
        x = y
    return found


def forms() -> dict[str, Forms]:
    """What was chosen comes first in each group."""
    from magenet_batch.models.blocks import (
        added_product,
        conv_shuffled,
        conv_unshuffled,
        doubled,
    )
    from magenet_batch.models.restoration import bands

    x, gains = torch.rand(1, 3, SIZE, SIZE), torch.rand(1, 8, SIZE, SIZE)
    total, small = torch.rand(1, 3, SIZE, SIZE), torch.rand(1, 8, SIZE // 2, SIZE // 2)
    split = bands.detail_bands(x)
    detail = split.detail
    seen_small = torch.rand(4, 7, 128, 128)  # four mirrored views
    patches = torch.nn.Conv2d(112, 32, 3, padding=1).to(memory_format=torch.channels_last)
    half = torch.rand(1, 24, SIZE // 2, SIZE // 2).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.rand(44, 24, 3, 3), torch.rand(44)
    last = weight.contiguous(memory_format=torch.channels_last)
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]).view(1, 1, 1, 5) / 16
    first = torch.tensor([1.0, 0.0])
    stacked = split.stacked.flatten(2)
    matrices, one = torch.rand(8, 1, 3, 3), torch.rand(1, 3, 24)

    photograph = np.full((2848, 4288, 3), 99, np.uint8)
    inside = np.ones((2848, 3440), np.uint8)
    square = np.zeros((3440, 3440, 3), np.uint8)
    seen, place = photograph[:, 424:3864], square[296:3144]

    def through_a_copy() -> None:
        place[:] = cv2.copyTo(np.ascontiguousarray(seen), inside)

    def products(add: Callable[..., torch.Tensor]) -> torch.Tensor:
        y = total
        for k, band in enumerate(detail):
            y = add(y, gains[:, k : k + 1], band)
        return y

    def matrix_by_matrix() -> torch.Tensor:
        y = total.flatten(2)
        for matrix, band in zip(matrices, detail, strict=True):
            y = torch.baddbmm(y, matrix, band.flatten(2))
        return y

    def thinned(pick: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        return torch.cat([pick(band) for band in detail], 1)

    return {
        "enlarge the coarse gains": {
            "pairs of columns": lambda: doubled(small),
            "`F.interpolate`": lambda: F.interpolate(small, scale_factor=2, mode="bilinear"),
        },
        "add gains times bands": {
            "in place": lambda: products(added_product),
            "new tensors": lambda: products(torch.addcmul),
        },
        "bands": {
            "means": lambda: bands.detail_bands(x),
            "sums and a division": lambda: summed_bands(x, bands._STEPS),
            "channel by channel": lambda: [bands.detail_bands(x[:, c : c + 1]) for c in range(3)],
        },
        "one pass of a band along rows": {
            "two means": lambda: torch.lerp(x[..., :-4], x[..., 4:], 0.5),
            "depthwise convolution": lambda: F.conv2d(
                x.view(3, 1, SIZE, SIZE), taps, padding=(0, 2)
            ),
        },
        "outputs of the heads as planes": {
            "moved side by side": lambda: conv_shuffled(half, weight, bias).contiguous(),
            "`pixel_shuffle`": lambda: F.pixel_shuffle(
                F.conv2d(half, last, bias, padding=1).contiguous(), 2
            ),
        },
        "patches of the light": {
            "a strided convolution": lambda: conv_unshuffled(seen_small, patches, factor=4),
            "`pixel_unshuffle`": lambda: patches(F.pixel_unshuffle(seen_small, 4)),
        },
        "colour matrices": {
            "one product of all": lambda: torch.baddbmm(
                total.flatten(2), one, stacked
            ),
            "one by one": matrix_by_matrix,
        },
        "cut the square around the field of view of 12 megapixels": {
            "into its place": lambda: cv2.copyTo(seen, inside, place),
            "through a copy": through_a_copy,
        },
        "every other pixel": {
            "strides": lambda: thinned(lambda b: b[..., ::2, ::2]),
            "product with (1, 0)": lambda: thinned(
                lambda b: b[..., ::2, :].unflatten(-1, (SIZE // 2, 2)) @ first
            ),
            "pooling": lambda: thinned(lambda b: F.max_pool2d(b, 1, 2)),
        },
    }  # fmt: skip


def cost() -> dict[str, float]:
    """CPU milliseconds of one image with both weights, and their ratio."""
    from magenet_batch.imaging.fov import find_fov
    from magenet_batch.inference.enhancer import Enhancer

    pixels = make_phantom(3, size=512).pixels
    fov = find_fov(pixels)
    assert fov is not None
    networks = [Enhancer.load(name, device="cpu", threads=1) for name in ("small", "affine")]
    used = np.zeros((RUNS, 2))
    for network in networks:
        network.enhance(pixels, fov)
    for turn in range(RUNS):
        for index in (0, 1) if turn % 2 else (1, 0):
            start = time.process_time()
            networks[index].enhance(pixels, fov)
            used[turn, index] = 1000 * (time.process_time() - start)
    least = used.min(0)
    return {
        "small": float(least[0]), "affine": float(least[1]), "ratio": float(least[0] / least[1]),
        "median_ratio": float(np.median(used[:, 0] / used[:, 1])),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    told = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    keep_freed_memory()
    found: dict[str, Any] = {"load": os.getloadavg()[0], "cost": cost()}
    if not told.cost:
        with torch.inference_mode():
            found["forms"] = {name: in_turns(group) for name, group in forms().items()}
    print(json.dumps(found, indent=1))
    if told.output:
        told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
