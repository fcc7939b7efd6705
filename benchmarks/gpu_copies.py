"""Copies between host and device, alone and beside the network, for `gpu.py`."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from gpu_network import PRODUCT, VARIANTS, computing, photograph, placed, restored_native, timed

from magenet_batch.models.restoration.network import Restorer

_IMAGES = 24  # in a row, at most
_SLOTS = 2  # buffers of each direction


def copies(
    network: Restorer, device: torch.device, native: int, end: float
) -> dict[str, dict[str, float]]:
    """Copy a photograph to the device and back; then restore a row of them, copying in three ways.

    Args:
        network: on the host.
        device: the device.
        native: side of the photograph, pixels.
        end: when to stop, by `time.perf_counter`.
    """
    side = native // 24 * 24
    pixels = photograph(side)
    floats = torch.from_numpy(pixels).permute(2, 0, 1).float()
    seconds = max(0.0, end - time.perf_counter()) / 8
    found = {
        "8 bits, to the device": _there(torch.from_numpy(pixels), device, seconds),
        "float, to the device": _there(floats, device, seconds),
        "float, back": _back(floats.to(device), device, seconds),
    }
    if device.type == "cuda":
        pinned = torch.from_numpy(pixels).pin_memory()
        found["8 bits, pinned, to the device"] = _there(pinned, device, seconds)
    variant = PRODUCT if device.type == "cuda" else VARIANTS[0]
    factor = max(1, round(side / network.config.sensor.working_size))  # type: ignore[union-attr]
    mask = torch.ones(1, 1, side // factor, side // factor, device=device)
    ours = placed(network, variant, device)

    def work(given: torch.Tensor) -> torch.Tensor:
        return restored_native(ours, given, mask, factor=factor)

    ways: dict[str, Callable[..., int]] = {"network beside plain copies": _plain}
    if device.type == "cuda":
        ways["network beside pinned copies"] = _overlapped
    with computing(variant, device):
        work(torch.from_numpy(pixels).to(device))
        for name, way in ways.items():
            start = time.perf_counter()
            count = way(pixels, work, device, start + seconds)
            used = time.perf_counter() - start
            found[name] = {"images_per_second": count / used, "images": float(count)}
    return found


def _there(tensor: torch.Tensor, device: torch.device, seconds: float) -> dict[str, float]:
    found = timed(lambda: tensor.to(device, non_blocking=True), device, seconds=seconds)
    gigabytes = tensor.numel() * tensor.element_size() / 1e9
    return {"ms": found["ms"], "gb_per_second": gigabytes / found["ms"] * 1000}


def _back(tensor: torch.Tensor, device: torch.device, seconds: float) -> dict[str, float]:
    found = timed(tensor.cpu, device, seconds=seconds)
    gigabytes = tensor.numel() * tensor.element_size() / 1e9
    return {"ms": found["ms"], "gb_per_second": gigabytes / found["ms"] * 1000}


def _plain(
    pixels: np.ndarray,
    work: Callable[[torch.Tensor], torch.Tensor],
    device: torch.device,
    end: float,
) -> int:
    """Copy, restore, copy back, one image after another."""
    count = 0
    while count < _IMAGES and (not count or time.perf_counter() < end):
        work(torch.from_numpy(pixels).to(device)).cpu()
        count += 1
    return count


def _overlapped(
    pixels: np.ndarray,
    work: Callable[[torch.Tensor], torch.Tensor],
    device: torch.device,
    end: float,
) -> int:
    """The same through pinned buffers, each direction on a stream of its own."""
    up, down, here = torch.cuda.Stream(), torch.cuda.Stream(), torch.cuda.current_stream()
    given = torch.from_numpy(pixels)
    there, back = (
        [torch.empty(pixels.shape, dtype=torch.uint8, pin_memory=True) for _ in range(_SLOTS)]
        for _ in range(2)
    )
    free = [torch.cuda.Event() for _ in range(_SLOTS)]
    count = 0
    while count < _IMAGES and (count < _SLOTS or time.perf_counter() < end):
        slot = count % _SLOTS
        free[slot].synchronize()  # the image two before has left both buffers
        there[slot].copy_(given)
        with torch.cuda.stream(up):
            x = there[slot].to(device, non_blocking=True)
        here.wait_stream(up)
        x.record_stream(here)
        result = work(x)
        down.wait_stream(here)
        with torch.cuda.stream(down):
            back[slot].copy_(result, non_blocking=True)
            free[slot].record(down)
        result.record_stream(down)
        count += 1
    torch.cuda.synchronize(device)
    return count
