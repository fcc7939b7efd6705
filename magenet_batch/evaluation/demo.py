"""Makes a small archive of phantoms, as varied as a real one and the same for the same seed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile
from PIL import Image

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.errors import UsageError
from magenet_batch.phantom import Phantom, make_phantom

MANIFEST = "manifest.parquet"
_MARK = b"magenet.demo"
_FOLDERS = (
    "site_a/2019",
    "site_a/2020",
    "site_b",
    "site_c/screening/left",
    "site_c/screening/right",
)
_SHAPES = ((768, 768), (1024, 768), (512, 512), (896, 896), (960, 720), (640, 640))
_KINDS = ("jpg", "jpg", "png", "jpg", "tif", "jpg")


@dataclass(frozen=True)
class DemoArchive:
    """What was made.

    Attributes:
        folder: the archive.
        manifest: its Parquet manifest.
        images: number of files, the corrupt one among them.
        degraded: how many of them were degraded.
        corrupt: relative path of the file that is truncated on purpose.
    """

    folder: Path
    manifest: Path
    images: int
    degraded: int
    corrupt: str


def _encode(pixels: np.ndarray, kind: str) -> bytes:
    """Encode as JPEG, PNG or TIFF; uint16 pixels only as TIFF."""
    buffer = io.BytesIO()
    if kind == "tif":
        tifffile.imwrite(buffer, pixels, photometric="rgb", compression="deflate", metadata=None)
    elif kind == "png":
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    else:
        Image.fromarray(pixels).save(buffer, "JPEG", quality=93, subsampling=0)
    return buffer.getvalue()


def _pixels(phantom: Phantom, kind: str, *, rng: np.random.Generator, degraded: bool) -> np.ndarray:
    """The photograph as its camera would have stored it, degraded or not."""
    pixels: np.ndarray = phantom.pixels
    if kind == "tif":
        # real 16-bit values, not 8-bit ones times 257
        fine = pixels.astype(np.float32) * 257 + rng.uniform(-128, 128, pixels.shape)
        pixels = np.clip(fine, 0, 65_535).astype(np.uint16)
    if degraded:
        pixels = degrade_pixels(
            pixels, sample_degradation(rng, preset("evaluation")), mask=phantom.fov
        )
    return pixels


def _refuse_foreign(folder: Path) -> None:
    """Refuse to write among files that no demo made.

    Raises:
        UsageError: the folder holds other things.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    manifest = folder / MANIFEST
    try:
        ours = _MARK in (pq.read_schema(manifest).metadata or {})
    except (OSError, pa.ArrowInvalid):
        ours = False
    if not ours:
        raise UsageError(
            f"{folder} exists and was not made by `magenet demo`. Give another folder with -o."
        )


def make_demo_archive(folder: Path, *, images: int = 12, seed: int = 0) -> DemoArchive:
    """Make a small archive: nested folders, several formats and sizes, one corrupt file.

    About half of the images are degraded. The same arguments give the same bytes.

    Args:
        folder: where to; new, empty, or made by this function before.
        images: how many files, at least 2.
        seed: what all randomness comes from.

    Returns:
        What was made.

    Raises:
        UsageError: fewer than 2 images are requested, or the folder holds other things.
    """
    if images < 2:
        raise UsageError(f"--images {images}: give at least 2, one of which will be corrupt.")
    _refuse_foreign(folder)
    rows, corrupt, number_degraded = [], "", 0
    for number in range(images):
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number])))
        kind, (width, height) = _KINDS[number % len(_KINDS)], _SHAPES[number % len(_SHAPES)]
        phantom = make_phantom(int(rng.integers(2**31)), size=width, height=height)
        degraded = number % 2 == 0 or bool(rng.random() < 0.1)
        data = _encode(_pixels(phantom, kind, rng=rng, degraded=degraded), kind)
        where = _FOLDERS[number % len(_FOLDERS)]
        name = f"{where}/eye_{number + 1:04d}.{kind}"
        if number == images - 1:
            name = f"{where}/eye_{number + 1:04d}_truncated.jpg"
            data = _encode(phantom.pixels, "jpg")
            data, corrupt, degraded = data[: len(data) * 2 // 5], name, False
        number_degraded += degraded
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        camera = f"camera {phantom.params.look.camera}"
        rows.append({"path": name, "site": name.split("/")[0], "camera": camera})
    table = pa.Table.from_pylist(rows).replace_schema_metadata({_MARK: str(seed)})
    pq.write_table(table, folder / MANIFEST)
    return DemoArchive(folder, folder / MANIFEST, images, number_degraded, corrupt)
