"""The network alone at 512 x 512 px: multiply-adds, parameters, time and memory, beside others.

    python benchmarks/network.py [--threads 2] [-o benchmarks/results/network.json]

The shipped weights `small` and `base`, all of whose stages run; `affine`, which were the default
before; a plain U-Net of usual widths; and a ResNet generator of nine blocks (Johnson et al., ECCV
2016; the generator of I-SECRET, Cheng et al., MICCAI 2021). Each network is measured in a process
of its own, so that peak memory is its own; the fastest run counts, in milliseconds and in CPU
milliseconds, which other work on the machine disturbs least. Then as many processes as there are
threads, with one thread each, at the same time, as the workers of a job: images per second of all,
and CPU milliseconds an image.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line sets it

import torch
from gpu_network import make, photograph, restored
from memory import peak_mib
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from magenet_batch.models.build import build_network
from magenet_batch.models.catalog import read_weights_file
from magenet_batch.models.config import MageNetConfig
from magenet_batch.models.memory import keep_freed_memory
from magenet_batch.models.weights import load_weights

SIZE = 512
NETWORKS = ("small", "base", "affine", "unet", "resnet9")
TOGETHER = ("small", "base", "affine")
LARGE = ("unet", "resnet9")
SECONDS = 6.0  # that processes run at the same time
Work = Callable[[torch.Tensor], Any]


def resnet9() -> nn.Module:
    """64 channels at full size, 256 at a quarter, nine residual blocks."""

    def unit(conv: nn.Module, channels: int) -> list[nn.Module]:
        return [conv, nn.InstanceNorm2d(channels), nn.ReLU(True)]

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                *unit(nn.Conv2d(256, 256, 3, padding=1), 256),
                nn.Conv2d(256, 256, 3, padding=1), nn.InstanceNorm2d(256),
            )  # fmt: skip

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.body(x)

    return nn.Sequential(
        *unit(nn.Conv2d(3, 64, 7, padding=3), 64),
        *unit(nn.Conv2d(64, 128, 3, stride=2, padding=1), 128),
        *unit(nn.Conv2d(128, 256, 3, stride=2, padding=1), 256),
        *[Block() for _ in range(9)],
        *unit(nn.ConvTranspose2d(256, 128, 3, stride=2, padding=1, output_padding=1), 128),
        *unit(nn.ConvTranspose2d(128, 64, 3, stride=2, padding=1, output_padding=1), 64),
        nn.Conv2d(64, 3, 7, padding=3), nn.Tanh(),
    )  # fmt: skip


def network_and_work(name: str) -> tuple[nn.Module, Work]:
    """A network as it is used for an image of this size, and what it does with one."""
    if name in ("small", "base"):
        restorer = make(name, name)
        inside = torch.ones(1, 1, SIZE, SIZE)
        return restorer, lambda image: restored(restorer, image, inside)
    if name == "affine":
        return _affine()
    if name == "resnet9":
        network = resnet9()
    else:  # the usual widths; the recipe `unet` has a quarter of them
        network = build_network(MageNetConfig(
            size="unet", architecture="unet", local_widths=(64, 128, 256, 512), structure=False
        ))  # fmt: skip
    return network, network


def _affine() -> tuple[nn.Module, Work]:
    """Global stages at the working size, the last stage on the image."""
    from magenet_batch.models.affine import Window

    network: Any = load_weights("affine")[0]
    working = network.config.working_size

    def work(image: torch.Tensor) -> Any:
        context = network.context(
            nn.functional.interpolate(image, size=(working, working), mode="area")
        )
        return network.refine(
            image, context, window=Window.whole(SIZE, SIZE), height=SIZE, width=SIZE
        )

    return network, work


@torch.inference_mode()
def measure(name: str, *, threads: int, seconds: float | None) -> dict[str, float]:
    """One network, in this process; only its rate over some seconds, if they are given."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    network, work = network_and_work(name)
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.from_numpy(photograph(SIZE)).permute(2, 0, 1)[None].float() / 255
    image = image.contiguous(memory_format=torch.channels_last)
    work(image)
    if seconds is not None:
        start, used, count = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() < start + seconds:
            work(image)
            count += 1
        return {
            "per_second": count / (time.perf_counter() - start),
            "cpu_milliseconds": 1000 * (time.process_time() - used) / count,
        }
    with FlopCounterMode(display=False) as counter:
        work(image)
    wall, cpu = [], []
    for _ in range(3 if name in LARGE else 15):
        start, used = time.perf_counter(), time.process_time()
        work(image)
        wall.append(1000 * (time.perf_counter() - start))
        cpu.append(1000 * (time.process_time() - used))
    return {
        "gmac": counter.get_total_flops() / 2e9,
        "million_parameters": sum(p.numel() for p in network.parameters()) / 1e6,
        "milliseconds": min(wall), "cpu_milliseconds": min(cpu), "peak_mib": peak_mib(),
    }  # fmt: skip


def command(name: str, threads: int, *flags: str) -> list[str]:
    return [sys.executable, __file__, "--network", name, "--threads", str(threads), *flags]


def together(name: str, processes: int) -> dict[str, float]:
    """Several processes with one thread each: images/s of all, CPU milliseconds an image."""
    given = command(name, 1, "--seconds", str(SECONDS))
    running = [subprocess.Popen(given, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    answers = [json.loads(one.communicate()[0]) for one in running]
    return {
        "per_second": sum(answer["per_second"] for answer in answers),
        "cpu_milliseconds": min(answer["cpu_milliseconds"] for answer in answers),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--network", choices=NETWORKS, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path)
    told = parser.parse_args()
    if told.network:
        print(json.dumps(measure(told.network, threads=told.threads, seconds=told.seconds)))
        return
    found: dict[str, Any] = {
        "threads": told.threads, "torch": torch.__version__, "load": os.getloadavg()[0],
        "small": read_weights_file("small").hash,
        "capability": torch.backends.cpu.get_cpu_capability(), "networks": {},
    }  # fmt: skip
    for name in NETWORKS:
        done = subprocess.run(
            command(name, told.threads), check=True, stdout=subprocess.PIPE, text=True
        )
        one = json.loads(done.stdout)
        if name in TOGETHER:
            one["together"] = together(name, told.threads)
        found["networks"][name] = one
        print(f"{name}: {json.dumps(one)}", flush=True)
    if told.output:
        told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
