"""Everything about one GPU in one call of at most three minutes: networks, copies, and the job.

    python benchmarks/gpu.py [--budget 170] [--base WEIGHTS] [-o benchmarks/results/gpu.json]
    python benchmarks/gpu.py --device cpu --budget 20 --sizes 128 256 --native 768 --batches 1 2

Networks alone, all of whose stages run: 12 megapixels with `base` and `small` stage by stage and in
all variants (precision, layout, CUDA graphs), 512 and 1024 px, batches, and `torch.compile` in a
process that is stopped when its time is over. Times are medians by the device's own events. Every
variant is compared with the same network in float32 on the CPU, in units of 1/255. Then copies,
pinned or not, alone and beside the network; and photographs from JPEG to JPEG through the function
that the workers of a job call, with several threads and processes, without Ray. What does not fit
in the budget is left out, and the table says so. Weights of `base` do not ship: without --base, a
new network takes as long. Needs neither Ray nor typer.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from gpu_copies import copies
from gpu_job import jobs
from gpu_network import (
    PRODUCT,
    VARIANTS,
    Variant,
    Work,
    apart,
    computing,
    graphed,
    make,
    photograph,
    placed,
    restored,
    restored_native,
    stages,
    timed,
)

from magenet_batch.models.restoration.network import Restorer

Found = dict[str, Any]
SHARES = {"native": 0.3, "sizes": 0.3, "batches": 0.42, "copies": 0.2, "jobs": 0.7}
"""Share of the time then left that each part may take, in this order; compile takes the rest."""
START = 15.0  # seconds that a process which compiles is worth starting for


def photographs(size: int, *, count: int = 1) -> torch.Tensor:
    """Phantoms: (B, 3, S, S), 0..1."""
    few = [torch.from_numpy(photograph(size, seed=index % 2)) for index in range(count)]
    pixels = torch.stack(few)
    return pixels.permute(0, 3, 1, 2).float() / 255


def until(end: float, cases: list[Any]) -> Iterator[tuple[Any, float]]:
    """Cases with their share of the time that is left; none when it is over."""
    for index, case in enumerate(cases):
        left = end - time.perf_counter()
        if left <= 0 and index:
            return
        yield case, max(left, 0.0) / (len(cases) - index)


def variants_for(device: torch.device) -> list[Variant]:
    """Those that the device has."""
    return [v for v in VARIANTS if device.type == "cuda" or not (v.graph or v.search)]


def measured(
    variant: Variant, device: torch.device, work: Work, *, seconds: float, wanted: torch.Tensor
) -> Found:
    """Time and error of one variant; what it raised, if it cannot run."""
    try:
        with computing(variant, device):
            ready = graphed(work) if variant.graph else work
            found: Found = dict(timed(ready, device, seconds=seconds))
            found["off"] = apart(ready()[: len(wanted)], wanted)
        return found
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:300]}


def native(networks: dict[str, Restorer], device: torch.device, told: Any, end: float) -> Found:
    """A square photograph at its own size: every variant, and every stage on its reduced copy."""
    side = told.native // 24 * 24
    pixels = torch.from_numpy(photograph(side))
    cases = [(n, v) for n in ("base", "small") for v in reversed(variants_for(device))]
    found: Found = {"side": side}
    wanted: dict[str, torch.Tensor] = {}
    for (name, variant), seconds in until(end, cases):
        factor = max(1, round(side / networks[name].config.sensor.working_size))  # type: ignore[union-attr]
        inside = torch.ones(1, 1, side // factor, side // factor)
        if name not in wanted:
            with computing(VARIANTS[0], torch.device("cpu")):
                wanted[name] = restored_native(networks[name], pixels, inside, factor=factor)
        network, given, mask = placed(networks[name], variant, device), *_on(device, pixels, inside)

        def work(network=network, given=given, mask=mask, factor=factor) -> torch.Tensor:  # type: ignore[no-untyped-def]
            return restored_native(network, given, mask, factor=factor)

        row = measured(variant, device, work, seconds=seconds, wanted=wanted[name])
        found[f"{name}, {variant.name}"] = row
    for name in ("base", "small"):
        factor = max(1, round(side / networks[name].config.sensor.working_size))  # type: ignore[union-attr]
        found[f"{name}, stages"] = _stages(networks[name], side // factor, device)
    return found


def _on(device: torch.device, *tensors: torch.Tensor) -> list[torch.Tensor]:
    return [t.to(device) for t in tensors]


def _stages(network: Restorer, size: int, device: torch.device) -> dict[str, float]:
    """Milliseconds of every stage on a copy of this size, as a job computes."""
    variant = PRODUCT if device.type == "cuda" else VARIANTS[0]
    x, mask = _on(device, photographs(size), torch.ones(1, 1, size, size))
    with computing(variant, device):
        works = stages(placed(network, variant, device), x, mask)
        return {name: timed(work, device, seconds=0.3)["ms"] for name, work in works.items()}


def squares(
    networks: dict[str, Restorer],
    device: torch.device,
    end: float,
    cases: list[tuple[str, int, int, Variant]],
) -> Found:
    """Squares at their own size, (network, size, batch, variant): each image of a batch counts."""
    found: Found = {}
    wanted: dict[tuple[str, int], torch.Tensor] = {}
    for (name, size, batch, variant), seconds in until(end, cases):
        x, mask = photographs(size, count=batch), torch.ones(batch, 1, size, size)
        if (name, size) not in wanted:
            with computing(VARIANTS[0], torch.device("cpu")):
                wanted[name, size] = restored(networks[name], x[:1], mask[:1])
        network, x, mask = placed(networks[name], variant, device), *_on(device, x, mask)

        def work(network=network, x=x, mask=mask) -> torch.Tensor:  # type: ignore[no-untyped-def]
            return restored(network, x, mask)

        row = measured(variant, device, work, seconds=seconds, wanted=wanted[name, size])
        if "ms" in row:
            row["images_per_second"] = 1000 * batch / row["ms"]
        found[f"{name}, {size} px, {batch}, {variant.name}"] = row
    return found


def compiled(told: argparse.Namespace, left: Callable[[], float]) -> Found:
    """`torch.compile` of every part, each size in a process of its own."""
    found: Found = {}
    for name in ("small", "base"):
        seconds = left()
        if seconds < START:
            found[name] = {"error": "not measured: no time was left"}
            continue
        command = [sys.executable, __file__, "--compile", name, "--device", told.device]
        command += ["--sizes", str(told.sizes[0])]
        for flag, given in (("--small", told.small), ("--base", told.base)):
            command += [flag, given] if given else []
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
            found[name] = (
                json.loads(done.stdout.splitlines()[-1])
                if done.returncode == 0
                else {"error": done.stderr[-300:]}
            )
        except subprocess.TimeoutExpired:
            found[name] = {"error": f"did not finish compiling within {seconds:.0f} s"}
    return found


def compile_here(network: Restorer, size: int, device: torch.device) -> Found:
    """Compile every part of a network in this process, and time it."""
    variant = PRODUCT if device.type == "cuda" else VARIANTS[0]
    with computing(VARIANTS[0], torch.device("cpu")):
        x, mask = photographs(size), torch.ones(1, 1, size, size)
        wanted = restored(network, x, mask)
    network, x, mask = placed(network, variant, device), *_on(device, x, mask)
    before = measured(
        variant, device, lambda: restored(network, x, mask), seconds=1.0, wanted=wanted
    )
    began = time.perf_counter()
    for part in (network.structure, network.sensor, network.light, network.sense):
        assert part is not None
        part.compile(dynamic=False)
    with computing(variant, device):
        restored(network, x, mask)
    seconds = time.perf_counter() - began
    after = measured(
        variant, device, lambda: restored(network, x, mask), seconds=1.0, wanted=wanted
    )
    return {**after, "eager_ms": before.get("ms"), "compile_s": seconds}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--budget", type=float, default=170, help="seconds for everything")
    parser.add_argument("--small", default="small", help="weights of the small network")
    parser.add_argument("--base", help="weights of the base network; left out: a new one")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--native", type=int, default=3456, help="side of 12 megapixels")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--compile", choices=("small", "base"), help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


def main() -> None:
    began = time.perf_counter()
    told = parse()
    device = torch.device(told.device)
    if told.compile:
        network = make(told.compile, getattr(told, told.compile))
        print(json.dumps(compile_here(network, told.sizes[0], device)))
        return
    networks = {name: make(name, getattr(told, name)) for name in ("base", "small")}
    found: Found = {"facts": facts(device), "base_weights": told.base or "new"}
    variants = variants_for(device)
    product = PRODUCT if device.type == "cuda" else VARIANTS[0]
    sizes = [(n, s, 1, v) for s in told.sizes for n in networks for v in reversed(variants)]
    batches = [(n, told.sizes[0], b, product) for n in networks for b in told.batches]
    parts: dict[str, Callable[[float], Found]] = {
        "native": lambda end: native(networks, device, told, end),
        "sizes": lambda end: squares(networks, device, end, sizes),
        "batches": lambda end: squares(networks, device, end, batches),
        "copies": lambda end: copies(networks["small"], device, told.native, end),
        "jobs": lambda end: jobs(networks, device, told, end),
    }

    def left() -> float:
        return told.budget - (time.perf_counter() - began)

    for name, part in parts.items():
        try:
            found[name] = part(time.perf_counter() + SHARES[name] * left())
        except Exception:
            found[name] = {"error": traceback.format_exc()[-600:]}
        show(name, found[name])
    found["compile"] = compiled(told, left)
    show("compile", found["compile"])
    found["seconds"] = time.perf_counter() - began
    if told.output:
        told.output.parent.mkdir(parents=True, exist_ok=True)
        told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"\n{found['seconds']:.0f} s in all")


def facts(device: torch.device) -> Found:
    """What it ran on."""
    on_gpu = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if on_gpu else platform.processor()
    return {"device": name, "torch": torch.__version__, "python": platform.python_version()}


def show(title: str, rows: Found) -> None:
    """Print a part as lines of numbers."""
    print(f"\n== {title}", flush=True)
    for name, row in rows.items():
        if not isinstance(row, dict):
            print(f"{name:42s} {row}")
            continue
        off = row.get("off")
        numbers = [f"{k} {v:.4g}" for k, v in row.items() if isinstance(v, float)]
        numbers += [f"off by {off['most']:.2f} (mean {off['mean']:.3f})/255"] if off else []
        print(f"{name:42s} {', '.join(numbers) or row}", flush=True)


if __name__ == "__main__":
    main()
