"""Read mutated files of every format in one process whose memory is bounded; say what came of it.

    python tests/makers/fuzz_images.py --files 3000 --seed 0

The mutations follow from the seed alone. Before each file its number goes to standard error, so
that a crash or a hang names its file; `--only N` reads that one alone.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import json
import random
import resource
import struct
import sys
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable

import imagecodecs
import numpy as np
import tifffile
from dicom_files import JPEG, JPEG_2000, JPEG_LOSSLESS, JPEG_LS, dicom
from PIL import Image
from pydicom.uid import RLELossless

from magenet_batch.errors import REASONS, ImageError
from magenet_batch.imaging.metadata import Provenance
from magenet_batch.imaging.names import format_to_write
from magenet_batch.imaging.read import read_image
from magenet_batch.imaging.write import encode_image

FILES = 5000
"""Read by the test suite."""
HANG_S = 10.0
ROOM = 1 << 30
"""Bytes of address space that reading may take above what the libraries have."""
ABSURD = (0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

_ROWS, _COLUMNS = np.mgrid[:48, :64]
PICTURE = np.stack([_COLUMNS * 3, _ROWS * 4, _ROWS + _COLUMNS], 2).astype(np.uint8)
DEEP = PICTURE.astype(np.uint16) * 257 + 3


def _pillow(kind: str, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera maker", 6
    Image.fromarray(PICTURE).convert(mode).save(
        out, kind, exif=exif, icc_profile=b"profile" * 2 + b"--RGB " + b"profile" * 9, **options
    )
    return out.getvalue()


def _tiff(pixels: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, photometric="rgb", **options)
    return out.getvalue()


def seeds() -> dict[str, bytes]:
    """A small valid file of every kind."""
    return {
        "jpeg": _pillow("JPEG", quality=95),
        "jpeg progressive": _pillow("JPEG", progressive=True),
        "jpeg cmyk": _pillow("JPEG", "CMYK"),
        "png": _pillow("PNG"),
        "png palette": _pillow("PNG", "P"),
        "png 16 bits": bytes(imagecodecs.png_encode(DEEP)),
        "tiff": _tiff(PICTURE),
        "tiff lzw": _tiff(DEEP, compression="lzw", predictor=True),
        "tiff deflate": _tiff(PICTURE, compression="zlib", tile=(16, 16)),
        "tiff jpeg": _tiff(PICTURE, compression="jpeg"),
        "tiff zstd": _tiff(PICTURE, compression="zstd", bigtiff=True),
        "tiff pages": _tiff(np.stack([PICTURE] * 3)),
        "bmp": _pillow("BMP"),
        "webp": _pillow("WEBP", lossless=True),
        "webp lossy": _pillow("WEBP"),
        "jpeg 2000": bytes(imagecodecs.jpeg2k_encode(PICTURE, level=0)),
        "jpeg 2000 codestream": bytes(imagecodecs.jpeg2k_encode(DEEP, level=0, codecformat="J2K")),
        "dicom": dicom(PICTURE),
        "dicom frames": dicom(PICTURE // 2, frames=2),
        "dicom 422": dicom(PICTURE, colours="YBR_FULL_422"),
        "dicom rle": dicom(PICTURE, syntax=RLELossless),
        "dicom jpeg": dicom(PICTURE, syntax=JPEG),
        "dicom lossless jpeg": dicom(DEEP[..., 0], syntax=JPEG_LOSSLESS),
        "dicom jpeg-ls": dicom(PICTURE, syntax=JPEG_LS),
        "dicom jpeg 2000": dicom(PICTURE, syntax=JPEG_2000),
    }


def _flip_bits(data: bytearray, rng: random.Random) -> None:
    reach = rng.choice([64, 400, len(data)])
    for _ in range(rng.choice([1, 2, 8, 40])):
        data[rng.randrange(min(reach, len(data)))] ^= 1 << rng.randrange(8)


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _lie(data: bytearray, rng: random.Random) -> None:
    """Put absurd numbers where sizes and offsets are."""
    for _ in range(rng.choice([1, 1, 3])):
        order, size = rng.choice("<>"), rng.choice("HIQ")
        value = struct.pack(order + "Q", rng.choice(ABSURD))
        length = struct.calcsize(size)
        value = value[:length] if order == "<" else value[-length:]
        at = rng.randrange(max(1, min(len(data), rng.choice([64, 700, len(data)])) - length))
        data[at : at + length] = value


def _cut_out(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.choice([1, 4, 100])]


def _repeat(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start:start] = data[start : start + rng.choice([2, 16, 500])] * rng.choice([1, 50])


def _blank(data: bytearray, rng: random.Random) -> None:
    start, length = rng.randrange(len(data)), rng.choice([1, 16, 200])
    end = min(len(data), start + length)
    data[start:end] = bytes([rng.choice([0, 0xFF])]) * (end - start)


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip_bits, _truncate, _lie, _lie, _cut_out, _repeat, _blank,
)  # fmt: skip


def mend_png(data: bytearray) -> None:
    """Make the checksums right again, so that damage gets behind them."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            return
        struct.pack_into(">I", data, end, zlib.crc32(bytes(data[at + 4 : end])))
        at = end + 4


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A file with one to three damages; never the file itself."""
    while True:
        data = bytearray(content)
        for _ in range(rng.choice([1, 1, 2, 3])):
            if data:
                rng.choice(MUTATIONS)(data, rng)
        if data[:4] == b"\x89PNG" and rng.random() < 0.7:
            mend_png(data)
        if bytes(data) != content:
            return bytes(data)


def outcome(data: bytes, rng: random.Random) -> str:
    """`image` or the reason; what was read must also be written or refused with a reason."""
    page = rng.choice([None, 1, 2])
    reduced_to, model = rng.choice([None, None, 8]), rng.choice([None, None, "rgb", "ybr"])
    try:
        image = read_image(data, page=page, reduced_to=reduced_to, colour_model=model)
    except ImageError as error:
        assert error.reason in REASONS and str(error).strip() and len(str(error)) < 500
        assert str(error).isprintable(), "nothing of the file may drive a terminal"
        return error.reason
    assert image.pixels.ndim == 3 and image.pixels.shape[2] == 3
    assert image.pixels.dtype in (np.uint8, np.uint16)
    wanted = rng.choice(["source", "jpeg", "png", "tiff"])
    kind = format_to_write(image.format, renamed=False, wanted=wanted)
    try:
        encode_image(
            image.pixels[:64, :64], like=image, format=kind, provenance=Provenance("w", "0"),
            metadata=rng.choice(["keep", "minimal", "none"]),
            dicom_syntax=rng.choice(["explicit", "rle", "jpeg2000"]),
            deidentify=rng.choice(["none", "basic"]),
        )  # fmt: skip
    except ImageError as error:
        return f"read, then {error.reason}"
    return "image"


def peak_memory_kib() -> int:
    """Most memory that this program held; `getrusage` would count its parent's before it."""
    with open("/proc/self/status") as file:  # noqa: PTH123
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--files", type=int, default=FILES)
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--only", type=int)
    told = ask.parse_args()
    warnings.simplefilter("ignore")
    known = seeds()
    names = list(known)
    for name in names:
        read_image(known[name], page=1)  # loads every library before memory is bounded
    with open("/proc/self/statm") as file:  # noqa: PTH123
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
    found: Counter[str] = Counter()
    began = time.monotonic()
    slowest = 0.0
    for number in range(told.files) if told.only is None else [told.only]:
        rng = random.Random(f"{told.seed}/{number}")
        name = names[number % len(names)]
        data = mutated(known[name], rng)
        print(number, name, file=sys.stderr, flush=True)
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        start = time.monotonic()
        found[outcome(data, rng)] += 1
        slowest = max(slowest, time.monotonic() - start)
        faulthandler.cancel_dump_traceback_later()
    peak = peak_memory_kib() / 1024
    said = {
        "files": sum(found.values()), "kinds": len(names), "outcomes": dict(found.most_common()),
        "seconds": round(time.monotonic() - began, 1), "slowest_s": round(slowest, 2),
        "peak_mib": round(peak),
    }  # fmt: skip
    print(json.dumps(said))


if __name__ == "__main__":
    main()
