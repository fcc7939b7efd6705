"""Tiny images and an enhancer that needs no network."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq

from magenet_batch.inference.restoring import Estimates
from magenet_batch.jobs.engine.progress import SilentProgress
from magenet_batch.records.schema import TIMING_COLUMNS


def tiny_fundus(seed: int = 0, *, size: int = 96) -> np.ndarray:
    """An orange disc with some texture on black: (size, size, 3) uint8."""
    y, x = np.mgrid[:size, :size]
    inside = (x - size / 2) ** 2 + (y - size / 2) ** 2 < (0.46 * size) ** 2
    noise = np.random.default_rng(seed).normal(0, 6, (size, size, 1))
    disc = np.array([180, 90, 40]) + noise + 20 * np.sin(x / 7 + seed)[..., None]
    return np.where(inside[..., None], disc, 0).clip(0, 255).astype(np.uint8)


def write_image(path: Path, *, seed: int = 0, size: int = 96) -> Path:
    """Write a tiny fundus image in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coded, data = cv2.imencode(path.suffix, tiny_fundus(seed, size=size)[..., ::-1])
    assert coded
    path.write_bytes(data.tobytes())
    return path


@dataclass
class FakeEnhancement:
    pixels: np.ndarray
    vessels_before: np.ndarray | None = None
    vessels_after: np.ndarray | None = None
    estimates: Estimates | None = None


class FakeEnhancer:
    """Brightens by a tenth, so that relative contrast is kept; deterministic."""

    weights_name = "fake"
    weights_hash = "0123456789abcdef"

    def enhance(self, pixels, fov, *, cancelled=lambda: False):
        brighter = np.clip(pixels.astype(np.int32) * 11 // 10, 0, np.iinfo(pixels.dtype).max)
        vessels = np.full((8, 8), 0.5, np.float32)
        found = Estimates(
            blur=2.0, noise=0.5, compression=0.0, veil=0.2, unevenness=0.05, spots=0.0
        )
        return FakeEnhancement(brighter.astype(pixels.dtype), vessels, vessels, found)

    def vessels(self, pixels, fov):
        return None


def fake_factory(device: str, threads: int) -> FakeEnhancer:
    return FakeEnhancer()


def measure_nothing(set_attribute=setattr) -> None:
    """Take the measures out of this process's jobs, where thousands of images are to be quick."""
    from magenet_batch.jobs.work import measuring, process

    set_attribute(measuring, "assess_copy", lambda copy: {})
    set_attribute(measuring, "measure_fidelity", lambda *images, **maps: {})
    set_attribute(measuring, "compare_copies", lambda *images, **maps: {})
    set_attribute(measuring, "vessels_seen_on", lambda copy: None)
    set_attribute(process, "recognise", lambda pixels, fov: None)


class StopAt(SilentProgress):
    """Stops a job after a number of images."""

    def __init__(self, stop: threading.Event, images: int) -> None:
        self._stop, self._images = stop, images

    def update(self, done) -> None:
        if done.images >= self._images:
            self._stop.set()


def rows(out: Path) -> list[dict]:
    """All rows in order, without what depends on the clock."""
    found = [r for f in sorted((out / "rows").iterdir()) for r in pq.read_table(f).to_pylist()]
    return [{k: v for k, v in row.items() if k not in TIMING_COLUMNS} for row in found]


def outputs(out: Path) -> dict[str, bytes]:
    """Every output of a job by its relative path."""
    root = out / "images"
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
