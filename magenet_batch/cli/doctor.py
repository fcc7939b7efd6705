"""`magenet doctor`: check this machine, and say how to fix what is missing."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from magenet_batch.cli.console import say, tell
from magenet_batch.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    MissingExtraError,
    UsageError,
    require_extra,
)
from magenet_batch.models.catalog import shipped_names

if TYPE_CHECKING:
    from magenet_batch.jobs.options import JobOptions

MEMORY_MIN, DISK_MIN, FILES_MIN, SHARED_MIN = 4e9, 5e9, 10_000, 2e8


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        name: what was checked.
        ok: whether the check passed.
        found: what was found.
        advice: how to fix it; empty if the check passed.
    """

    name: str
    ok: bool
    found: str
    advice: str = ""


def command(
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Measure again how many workers are fastest, and keep the result."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check this machine, and print how to fix what is missing."""
    if calibrate:
        _calibrate()
    findings = examine()
    if as_json:
        tell(json.dumps([asdict(f) for f in findings], indent=2))
    else:
        for f in findings:
            tell(f"{'ok  ' if f.ok else 'BAD '} {f.name}: {f.found}")
            if f.advice:
                tell(f"     {f.advice}")
    raise typer.Exit(EXIT_DONE if all(f.ok for f in findings) else EXIT_FAILED)


def examine() -> list[Finding]:
    """Check everything that a job needs."""
    checks: tuple[Callable[[], Finding], ...] = (
        _torch, _gpus, _ray, _training, _cores, _memory, _workers, _limits, _shared_memory, _disk,
        _codecs, _weights,
    )  # fmt: skip
    return [check() for check in checks]


def _torch() -> Finding:
    try:
        import torch
    except Exception as error:  # a broken installation can raise anything
        advice = "Install it: pip install 'torch>=2.6,<2.14'"
        return Finding("torch", False, f"cannot be imported ({error})", advice)
    return Finding("torch", True, torch.__version__)


def _gpus() -> Finding:
    try:
        import torch
    except Exception:
        return Finding("GPUs", True, "unknown without torch")
    count = torch.cuda.device_count()
    if count:
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(count))
        return Finding("GPUs", True, f"{count}: {names}")
    if Path("/dev/nvidiactl").exists():
        advice = "Install a torch build with CUDA: see https://pytorch.org/get-started"
        return Finding("GPUs", False, "present, but this torch build cannot use it", advice)
    return Finding("GPUs", True, "none; jobs run on the CPU")


def _ray() -> Finding:
    try:
        version = importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        return Finding("Ray", False, "not installed", "Install it: pip install 'ray>=2.40'")
    return Finding("Ray", True, version)


def _training() -> Finding:
    try:
        require_extra("train", modules=("tensorboard", "pandas"), purpose="`magenet train`")
    except MissingExtraError as error:  # enhancing works without it
        return Finding("training", True, f"not installed; {error}")
    return Finding("training", True, "TensorBoard, Ray Train")


def _cores() -> Finding:
    from magenet_batch.jobs.engine.machine import cpu_text

    return Finding("CPU cores", True, cpu_text())


def _memory() -> Finding:
    from magenet_batch.jobs.engine.machine import available_memory, memory_text

    ok = available_memory() >= MEMORY_MIN
    advice = "" if ok else "Close other programs, or use --workers 1."
    return Finding("free memory", ok, memory_text(), advice)


def _workers() -> Finding:
    """What a large job gets without `--workers` and `--gpus`."""
    from magenet_batch.jobs.run import allocation_for, weights_of

    options = _usual_job()
    try:
        allocation = allocation_for(options, images=10**6, weights=weights_of(options))
    except Exception as error:  # torch and the weights have findings of their own
        return Finding("a large job gets", True, f"unknown ({error})")
    return Finding("a large job gets", True, allocation.text())


def _usual_job() -> JobOptions:
    from magenet_batch.jobs.options import JobOptions

    return JobOptions(archive=("-",))


def _calibrate() -> None:
    """Measure how many workers a job on the CPU should have."""
    from magenet_batch.jobs.engine.calibration import Setting
    from magenet_batch.jobs.engine.machine import cpu_count
    from magenet_batch.jobs.run import calibrate_machine, weights_of

    weights = weights_of(_usual_job())
    assert weights.hash is not None
    calibrate_machine(weights, Setting.of(weights.hash, cores=cpu_count()), say=say)


def _limits() -> Finding:
    from magenet_batch.jobs.engine.room import limit_of, refuse_tight_limits

    soft, hard = limit_of("RLIMIT_NOFILE")
    addresses, _ = limit_of("RLIMIT_AS")
    text = f"{soft or 'any number of'} open files, at most {hard or 'any number'}"
    if addresses is not None:
        text += f"; {addresses / 1e9:.1f} GB of addresses (ulimit -v)"
    try:
        refuse_tight_limits(network=True, ray=True)
    except UsageError as error:
        return Finding("limits of a process", False, text, str(error))
    return Finding("limits of a process", True, text)


def _shared_memory() -> Finding:
    from magenet_batch.jobs.engine.room import room_in

    room = room_in("/dev/shm") if Path("/dev/shm").is_dir() else None
    if room is None:
        return Finding("shared memory", True, "no /dev/shm")
    text = f"{room.bytes / 1e6:.0f} MB in /dev/shm"
    if room.bytes < SHARED_MIN:
        text += "; Ray uses the temporary folder instead, which is slower but enough"
    return Finding("shared memory", True, text)


def _disk() -> Finding:
    from magenet_batch.jobs.engine.room import Room, room_in

    places = {"here": Path.cwd(), "temporary": Path(tempfile.gettempdir())}
    room = {n: room_in(str(p)) or Room(shutil.disk_usage(p).free, None) for n, p in places.items()}
    ok = all(r.bytes >= DISK_MIN and (r.files is None or r.files >= FILES_MIN)
             for r in room.values())  # fmt: skip
    text = ", ".join(
        f"{r.bytes / 1e9:.0f} GB"
        + ("" if r.files is None else f" and {r.files} files (inodes)")
        + f" {name}"
        for name, r in room.items()
    )
    advice = "" if ok else (
        "Outputs need about as much space as the archive, and a file for each image; Ray needs "
        "1 GB in the temporary folder."
    )  # fmt: skip
    return Finding("free disk", ok, text, advice)


def _codecs() -> Finding:
    missing = []
    for name in ("PIL", "cv2", "tifffile", "imagecodecs", "simplejpeg", "pydicom"):
        try:
            importlib.import_module(name)
        except Exception as error:  # a missing system library can raise anything
            missing.append(f"{name} ({error})")
    if missing:
        advice = "Reinstall the package: pip install --force-reinstall magenet-batch"
        return Finding("codecs", False, f"missing: {', '.join(missing)}", advice)
    return Finding("codecs", True, "JPEG, PNG, TIFF, BMP, WebP, JPEG 2000, DICOM")


def _weights() -> Finding:
    names = shipped_names()
    if names:
        return Finding("weights", True, ", ".join(names))
    advice = "Train weights (magenet train recipes/small.toml) and pass them with --weights."
    return Finding("weights", False, "none in the package", advice)
