"""The cost of networks: multiply-adds, parameters, time and memory, compared with common ones.

    python benchmarks/network.py [--threads 2] [-o benchmarks/network.json]

For a 512 x 512 image: MAGE-Net `small` and `base`, a plain U-Net of usual widths, and a ResNet
generator of nine blocks (Johnson et al., ECCV 2016; the generator of I-SECRET, Cheng et al., MICCAI
2021). Each network is measured in its own process, so that peak memory is its own. With --training:
images per second of a training step, the share that is spent outside the network, and peak
memory, for the recipes of both sizes, on phantoms. Steps of `base` use a small batch: that of the
recipe is for a GPU.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from magenet_batch.models.build import build_network
from magenet_batch.models.config import MageNetConfig, magenet_config

SIZE = 512
NETWORKS = ("small", "base", "unet", "resnet9")
MOST = {"affine": 8, "affine_base": 2}
"""Images of the largest batch that is measured, by recipe."""


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


def make(name: str) -> nn.Module:
    """A network as it is used for a 512 x 512 image."""
    if name == "resnet9":
        return resnet9()
    if name == "unet":  # the usual widths; the recipe `unet` has a quarter of them
        config = MageNetConfig(
            size="unet", architecture="unet", local_widths=(64, 128, 256, 512), structure=False
        )
        return build_network(config)
    return build_network(magenet_config(name))


def measure(name: str, *, threads: int) -> dict[str, float]:
    """One network, in this process."""
    torch.set_num_threads(threads)
    network = make(name).eval().to(memory_format=torch.channels_last)
    image = torch.rand(1, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            run(network, image)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        run(network, image)
        for _ in range(3 if name in ("unet", "resnet9") else 7):
            start = time.perf_counter()
            run(network, image)
            times.append(time.perf_counter() - start)
    return {
        "gmac": counter.get_total_flops() / 2e9,
        "million_parameters": sum(p.numel() for p in network.parameters()) / 1e6,
        "milliseconds": 1000 * sorted(times)[len(times) // 2],
        "peak_mib": max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, before) / 1024,
    }


def run(network: nn.Module, image: torch.Tensor) -> None:
    """Run as in inference: global stages at the working size, the last stage on the image."""
    config = getattr(network, "config", None)
    if config is None or config.architecture == "unet":
        network(image)
        return
    from magenet_batch.models.affine import Window

    working = nn.functional.interpolate(image, size=(config.working_size,) * 2, mode="area")
    context = network.context(working)  # type: ignore[operator]
    network.refine(  # type: ignore[operator]
        image, context, window=Window.whole(SIZE, SIZE), height=SIZE, width=SIZE
    )


def training(name: str, threads: int, *, steps: int) -> list[dict[str, float | str]]:
    """Images per second, share outside the network and peak memory, per view of a recipe."""
    from magenet_batch.degradation.sample import preset
    from magenet_batch.randomness import generator
    from magenet_batch.training.data.batches import View, synthetic_pairs
    from magenet_batch.training.data.images import load_training_images
    from magenet_batch.training.ema import make_teacher, update_teacher
    from magenet_batch.training.recipes.load import load_recipe
    from magenet_batch.training.step import StepConfig, training_losses

    torch.set_num_threads(threads)
    recipe = load_recipe(name, changes=["data.clean=phantom:8", "data.size=640"])
    photos = load_training_images(recipe.data, recipe.data.clean)
    student = build_network(recipe.model)
    if student.structure is not None:
        student.structure.requires_grad_(False)
    student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher = make_teacher(student)
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=1e-4)
    smallest = min(v[0] for v in recipe.schedule.views)
    config = StepConfig(recipe.loss, 0.1, recipe.consistency, autocast=False)
    rows: list[dict[str, float | str]] = []
    for working, ratio, *_ in recipe.schedule.views:
        count = max(1, round(recipe.schedule.batch / (working / smallest) ** 2))
        count = min(count, MOST[name])
        spent = {"data": 0.0, "network": 0.0, "rest": 0.0}
        for step in range(steps + 1):
            marks = [time.perf_counter()]
            pairs = synthetic_pairs(
                generator(1, "benchmark", step), photos, count=count,
                view=View(working, ratio), augment=recipe.augment, preset=preset("train"),
            )  # fmt: skip
            marks.append(time.perf_counter())
            losses = training_losses(
                student, teacher, pairs, None, config=config, consistency_weight=0.0
            )  # type: ignore[arg-type]
            losses["total"].backward()
            marks.append(time.perf_counter())
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            update_teacher(teacher, student, decay=0.99)
            marks.append(time.perf_counter())
            if step:  # the first one warms up
                for key, a, b in zip(spent, marks, marks[1:], strict=False):
                    spent[key] += b - a
        total = sum(spent.values())
        rows.append({
            "view": f"{working} px, original {ratio} x", "batch": count,
            "images_per_second": steps * count / total,
            "outside_network": (spent["data"] + spent["rest"]) / total,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--network", choices=NETWORKS)
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--training-of", choices=MOST)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if arguments.training_of:
        rows = training(arguments.training_of, arguments.threads, steps=arguments.steps)
        print(json.dumps(rows))
        return
    if arguments.network:
        print(json.dumps(measure(arguments.network, threads=arguments.threads)))
        return
    found: dict[str, Any] = {"threads": arguments.threads, "torch": torch.__version__}
    print(f"one 512 x 512 image, fp32, {arguments.threads} threads, torch {torch.__version__}\n")
    print(
        "| network | GMAC | million parameters | ms | peak MiB |\n| --- | --- | --- | --- | --- |"
    )
    for name in NETWORKS:
        command = [sys.executable, __file__, "--network", name, "--threads", str(arguments.threads)]
        one = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        found[name] = one
        print(f"| {name} | {one['gmac']:.2f} | {one['million_parameters']:.2f} | "
              f"{one['milliseconds']:.0f} | {one['peak_mib']:.0f} |", flush=True)  # fmt: skip
    if arguments.training:
        found["training"] = {}
        for name in MOST:
            command = [
                sys.executable,
                __file__,
                "--training-of",
                name,
                "--threads",
                str(arguments.threads),
                "--steps",
                str(arguments.steps),
            ]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found["training"][name] = rows = json.loads(done.stdout)
            print(f"\n| step of `{name}` | batch | images/s | outside the network | peak MiB |")
            print("| --- | --- | --- | --- | --- |")
            for row in rows:
                print(f"| {row['view']} | {row['batch']} | {row['images_per_second']:.2f} | "
                      f"{100 * float(row['outside_network']):.0f} % | {row['peak_mib']:.0f} |",
                      flush=True)  # fmt: skip
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
