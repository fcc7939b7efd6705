"""What `gpu.py` measures: networks all of whose stages run, their variants, and how they are timed.

Nothing in a variant waits for the host, so that a CUDA graph can hold it.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.build import build_network
from magenet_batch.models.restoration.bands import detail_bands
from magenet_batch.models.restoration.config import RESTORATION_SIZES, RestorationConfig
from magenet_batch.models.restoration.fields import Planes, planes
from magenet_batch.models.restoration.network import STRUCTURE_SIZE, Restorer
from magenet_batch.models.weights import load_weights
from magenet_batch.phantom import make_phantom

Work = Callable[[], torch.Tensor]
_FOUND = (1.25, -4.0, -4.0)  # before softplus: a blur of 1.5 pixels, no noise, no compression
_MOST_RUNS = 50


class Variant(NamedTuple):
    """How a network is computed.

    Attributes:
        name: for the tables.
        tf32: whether convolutions and products may drop bits of float32.
        autocast: bf16 where autocast allows it.
        channels_last: layout of the weights.
        graph: replay a CUDA graph.
        search: let cuDNN try all its algorithms.
    """

    name: str
    tf32: bool = True
    autocast: bool = False
    channels_last: bool = True
    graph: bool = False
    search: bool = False


VARIANTS = (
    Variant("fp32", tf32=False),
    Variant("tf32"),
    Variant("tf32, contiguous", channels_last=False),
    Variant("tf32, graph", graph=True),
    Variant("bf16", autocast=True),
    Variant("bf16, contiguous", autocast=True, channels_last=False),
    Variant("bf16, searched", autocast=True, search=True),
    Variant("bf16, graph", autocast=True, graph=True),
)
PRODUCT = VARIANTS[4]
"""How a job computes on a GPU, as long as nobody chooses another precision."""


@lru_cache(maxsize=8)
def photograph(size: int, *, seed: int = 0) -> np.ndarray:
    """A slightly noisy phantom, (S, S, 3) uint8; large ones are drawn smaller, which is quicker."""
    drawn = make_phantom(seed, size=min(size, 1024)).pixels
    pixels = cv2.resize(drawn, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    pixels += np.random.default_rng(seed).normal(0, 2, pixels.shape) * (pixels > 12)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def make(size: str, weights: str | None) -> Restorer:
    """A network all of whose stages run and change something.

    Args:
        size: a key of `RESTORATION_SIZES`.
        weights: name or path of weights; None makes a new network. A new network is the identity,
            so its last layers get small random weights.
    """
    if weights is not None:
        network, _ = load_weights(weights)
    else:
        torch.manual_seed(0)
        network = build_network(RestorationConfig(size=size, **RESTORATION_SIZES[size]))
    assert isinstance(network, Restorer) and network.light is not None
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear | nn.Conv2d) and not bool(module.weight.any()):
                nn.init.normal_(module.weight, std=0.02)
        network.sense.estimates.weight.zero_()
        network.sense.estimates.bias.copy_(torch.tensor(_FOUND))
        network.light.believe[-1].weight.zero_()  # type: ignore[operator]
        network.light.believe[-1].bias.fill_(6.0)  # type: ignore[operator]
    return network.eval().requires_grad_(False)


def placed(network: Restorer, variant: Variant, device: torch.device) -> Restorer:
    """A copy on a device, in the layout of a variant."""
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format
    return copy.deepcopy(network).to(device, memory_format=layout)  # type: ignore[call-overload]


def restored(network: Restorer, x_B3SS: torch.Tensor, mask_B1SS: torch.Tensor) -> torch.Tensor:
    """Restore squares at their own size, as `Restorer.forward`, without asking what is faulty."""
    y, light = _undone(network, x_B3SS, mask_B1SS)
    with torch.autocast(y.device.type, enabled=False):
        return light.resized(x_B3SS.shape[-1]).apply(y)


def restored_native(
    network: Restorer, pixels_HW3: torch.Tensor, mask_11SS: torch.Tensor, *, factor: int
) -> torch.Tensor:
    """Restore a square photograph on a copy reduced by a factor, as `inference.restoring` does.

    From and to integers on the device, vessels of the result included; decoding, the field of view
    and the continuation outside of it are the host's.
    """
    x = pixels_HW3.permute(2, 0, 1)[None].float() / 255
    small = F.avg_pool2d(x, factor)
    y, light = _undone(network, small, mask_11SS)
    size = x.shape[-1]
    with torch.autocast(x.device.type, enabled=False):
        change = F.interpolate(y - small, size=(size, size), mode="bilinear", align_corners=False)
        new = light.resized(size).apply(x + change).clamp_(0, 1)
        result = (new * 255).round_()[0].permute(1, 2, 0).to(torch.uint8)
    assert network.structure is not None
    network.structure(F.interpolate(new, size=(STRUCTURE_SIZE,) * 2, mode="area"))
    return result


def _undone(network: Restorer, x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, Planes]:
    """What the sensor stage makes of an image, and the light and scatter of that."""
    bands = detail_bands(x)
    sensed = network.sensed(x, mask, bands=bands)
    vessels = network.vessels(x)
    assert network.sensor is not None
    y = network.sensor(x, sensed, vessels, bands=bands)
    y = torch.lerp(x, y.float(), sensed.faulty.float()[:, None, None, None])
    return y, network.light_and_scatter(y, mask, sensed, vessels)


def stages(network: Restorer, x: torch.Tensor, mask: torch.Tensor) -> dict[str, Work]:
    """Each stage by itself, on what the stages before it made."""
    bands = detail_bands(x)
    sensed = network.sensed(x, mask, bands=bands)
    vessels = network.vessels(x)
    assert network.sensor is not None and network.light is not None
    sensor, light, size = network.sensor, network.light, (network.light.size,) * 2
    small, inside = (F.interpolate(t, size=size, mode="area") for t in (x, mask))
    fields = planes(light(small, inside, sensed.statistics).believed())

    def first(result) -> torch.Tensor:  # type: ignore[no-untyped-def]
        return result[0]

    return {
        "vessels": lambda: network.vessels(x),  # type: ignore[dict-item,return-value]
        "bands": lambda: detail_bands(x).rest,
        "sense": lambda: first(network.sensed(x, mask, bands=bands)),
        "sensor": lambda: sensor(x, sensed, vessels, bands=bands),
        "light": lambda: first(light(small, inside, sensed.statistics)),
        "light applied": lambda: fields.resized(x.shape[-1]).apply(x),
    }


@contextmanager
def computing(variant: Variant, device: torch.device) -> Iterator[None]:
    """Compute as a variant says, inside the block."""
    backends = torch.backends
    before = backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32, backends.cudnn.benchmark
    backends.cudnn.allow_tf32 = backends.cuda.matmul.allow_tf32 = variant.tf32
    backends.cudnn.benchmark = variant.search
    try:
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=variant.autocast),
        ):
            yield
    finally:
        (
            backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32, backends.cudnn.benchmark
        ) = before  # fmt: skip


def graphed(work: Work) -> Work:
    """Record some work once, on a GPU, and replay it."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work()

    def replay() -> torch.Tensor:
        graph.replay()
        return result

    return replay


def timed(work: Work, device: torch.device, *, seconds: float) -> dict[str, float]:
    """Median of many runs after one that warms up: milliseconds, their number, peak memory.

    Args:
        work: what to time; its work is over when the device is idle.
        device: times of a GPU are those of its own events.
        seconds: about how long to repeat it; at least one run is timed.
    """
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    end = time.perf_counter() + seconds
    work()
    milliseconds: list[float] = []
    while not milliseconds or (time.perf_counter() < end and len(milliseconds) < _MOST_RUNS):
        if on_gpu:
            start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            work()
            stop.record()
            stop.synchronize()
            milliseconds.append(start.elapsed_time(stop))
        else:
            began = time.perf_counter()
            work()
            milliseconds.append(1000 * (time.perf_counter() - began))
    found = {"ms": statistics.median(milliseconds), "runs": float(len(milliseconds))}
    if on_gpu:
        found["peak_mib"] = torch.cuda.max_memory_allocated(device) / 2**20
    return found


def apart(result: torch.Tensor, wanted: torch.Tensor) -> dict[str, float]:
    """Greatest and mean difference of two restored images, clipped, in units of 1/255."""
    scale = 1.0 if wanted.dtype == torch.uint8 else 255.0
    both = (t.to("cpu", torch.float32) * scale for t in (result, wanted))
    one, other = (t.clamp(0, 255) for t in both)
    difference = (one - other).abs()
    return {"most": float(difference.max()), "mean": float(difference.mean())}
