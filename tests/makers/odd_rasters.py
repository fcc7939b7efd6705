"""PNG, BMP, WebP and JPEG 2000 built for tests: PNG and BMP byte by byte, without any library."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import imagecodecs
import numpy as np
from odd import PICTURE, Odd, full, over_black, rgb, samples
from odd_tiffs import packed
from PIL import Image

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
_DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16),
           RGBA: (8, 16)}  # fmt: skip


def chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def png(
    values: np.ndarray, *, bits: int, kind: int, chunks: bytes = b"", after: bytes = b""
) -> bytes:
    """A PNG without filters (ISO/IEC 15948)."""
    height, width = values.shape[:2]
    rows = packed(values, bits, ">")
    step = len(rows) // height
    lines = b"".join(b"\0" + rows[i * step : (i + 1) * step] for i in range(height))
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks
        + chunk(b"IDAT", zlib.compress(lines)) + after + chunk(b"IEND", b"")
    )  # fmt: skip


def pngs() -> Iterator[Odd]:
    """Every kind and depth; with density, gamma, and a transparent colour."""
    density = chunk(b"pHYs", struct.pack(">IIB", 11811, 5906, 1))
    linear = chunk(b"gAMA", struct.pack(">I", 100_000))
    for kind, depths in _DEPTHS.items():
        for bits in depths:
            values = samples(bits, _CHANNELS[kind])
            chunks, pixels = b"", full(values, bits)
            if kind == PALETTE:
                table = np.random.default_rng(bits).integers(0, 256, (1 << bits, 3), np.uint8)
                chunks, pixels = chunk(b"PLTE", table.tobytes()), table[values[..., 0]]
            right = rgb(pixels)
            if kind in (GREY_ALPHA, RGBA):
                right = over_black(right, pixels[..., -1:])
            name = f"png of kind {kind}, {bits} bits"
            yield Odd(name, png(values, bits=bits, kind=kind, chunks=chunks), right)
            for what, more in (("density", density), ("gamma", linear)):
                data = png(values, bits=bits, kind=kind, chunks=more + chunks)
                yield Odd(f"{name}, {what}", data, right)
            if kind in (GREY_ALPHA, RGBA):
                values[..., -1] = 0
                yield Odd(f"{name}, alpha never filled in", png(values, bits=bits, kind=kind),
                          rgb(pixels), note="alpha channel is 0 everywhere")  # fmt: skip
            else:
                see_through = (struct.pack(">H", values[0, 1, 0]) if kind == GREY else
                               struct.pack(">HHH", *values[0, 1]) if kind == RGB else
                               b"\xff" * int(values[0, 1, 0]) + b"\0")  # fmt: skip
                gone = (values == values[0, 1]).all(2, keepdims=True)
                data = png(
                    values, bits=bits, kind=kind, chunks=chunks + chunk(b"tRNS", see_through)
                )
                yield Odd(f"{name}, a transparent colour", data, np.where(gone, 0, right).astype(
                    right.dtype))  # fmt: skip


def animations() -> Iterator[Odd]:
    """Animated PNG and WebP."""
    frames = [Image.fromarray(PICTURE), Image.fromarray(PICTURE[::-1].copy())]
    several = ("unsupported", "2 pages: choose one with --page")
    for kind in ("PNG", "WEBP"):
        out = io.BytesIO()
        frames[0].save(out, kind, save_all=True, append_images=frames[1:], lossless=True)
        data = out.getvalue()
        yield Odd(f"{kind}, animated", data, refusal=several)
        yield Odd(f"{kind}, animated, page 1", data, PICTURE, page=1)
        yield Odd(f"{kind}, animated, page 2", data, PICTURE[::-1], page=2)
        yield Odd(f"{kind}, animated, page 3", data, refusal=("unsupported", "page 3"), page=3)
    control = chunk(b"acTL", struct.pack(">II", 1, 0)) + chunk(
        b"fcTL", struct.pack(">IIIIIHHBB", 0, 32, 24, 0, 0, 1, 1, 0, 0)
    )
    yield Odd("PNG, animation of one frame",
              png(PICTURE, bits=8, kind=RGB, chunks=control), PICTURE)  # fmt: skip
    for frames_said in (0, 1 << 31, (1 << 32) - 1):
        control = chunk(b"acTL", struct.pack(">II", frames_said, 0))
        yield Odd(f"PNG, animation of {frames_said} frames",
                  png(PICTURE, bits=8, kind=RGB, chunks=control), PICTURE,
                  note="its animation is damaged")  # fmt: skip
    whole = png(PICTURE, bits=8, kind=RGB)
    at = whole.index(b"IDAT") - 4
    yield Odd("PNG without pixels", whole[:at] + chunk(b"IEND", b""),
              refusal=("corrupt", "its pixels are missing"))  # fmt: skip
    for kind, text in ((b"zTXt", b"Comment\0\0"), (b"iTXt", b"Comment\0\1\0\0\0")):
        long = chunk(kind, text + zlib.compress(b" " * (1 << 21)))
        yield Odd(f"PNG, a very long {kind.decode()}",
                  png(PICTURE, bits=8, kind=RGB, chunks=long), PICTURE,
                  note="its texts are too long")  # fmt: skip


def bmp(rows: bytes, *, bits: int, height: int = 24, masks: bytes = b"", table: bytes = b"",
        compression: int = 0) -> bytes:  # fmt: skip
    """A BMP (BITMAPV4HEADER if there are masks, else BITMAPINFOHEADER)."""
    size = 108 if masks else 40
    colours = len(table) // 4
    head = struct.pack(
        "<IiiHHIIiiII", size, 32, height, 1, bits, compression, len(rows), 2835, 2835, colours, 0
    )
    head += masks.ljust(size - 40, b"\0")
    start = 14 + len(head) + len(table)
    return struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + head + table + rows


def bmps() -> Iterator[Odd]:
    """Palettes, 16, 24 and 32 bits, bottom up and top down, alpha or not."""
    for bits in (1, 4, 8):
        table = np.random.default_rng(bits).integers(0, 256, (1 << bits, 4), np.uint8)
        index = samples(bits, 1)[..., 0]
        rows = packed(index[::-1, :, None], bits, "<")
        yield Odd(f"bmp of {bits} bits", bmp(rows, bits=bits, table=table.tobytes()),
                  table[index][..., 2::-1])  # fmt: skip
    yield Odd("bmp of 24 bits", bmp(PICTURE[::-1, :, ::-1].tobytes(), bits=24), PICTURE)
    yield Odd("bmp from the top", bmp(PICTURE[..., ::-1].tobytes(), bits=24, height=-24), PICTURE)
    five = samples(5)
    word = (five[..., 0] << 10 | five[..., 1] << 5 | five[..., 2]).astype("<u2")
    yield Odd("bmp of 16 bits", bmp(word[::-1].tobytes(), bits=16), (five * 255 // 31).astype(
        np.uint8))  # fmt: skip
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    for name, alpha in (("0", 0), ("whole", 255), ("half", 128)):
        four = np.dstack([PICTURE[..., ::-1], np.full((24, 32), alpha, np.uint8)])[::-1].tobytes()
        yield Odd(f"bmp of 32 bits, fourth byte {name}", bmp(four, bits=32), PICTURE)
        right = over_black(PICTURE, np.uint8(alpha)) if alpha else PICTURE
        yield Odd(f"bmp of 32 bits, alpha {name}", bmp(four, bits=32, masks=masks, compression=3),
                  right, note="" if alpha else "alpha channel is 0 everywhere")  # fmt: skip
    odd = struct.pack("<IIII", 0xFF, 0x3FF00, 0xFFC0000, 0)
    unread = {
        "odd masks": ({"bits": 32, "masks": odd, "compression": 3}, "bitfields layout"),
        "2 bits": ({"bits": 2}, "pixel depth (2)"),
        "alpha masks": ({"bits": 32, "compression": 6}, "compression (6)"),
        "a PNG inside": ({"bits": 0, "compression": 5}, "depth (0)"),
    }
    for name, (options, words) in unread.items():
        yield Odd(f"bmp of {name}", bmp(bytes(3072), **options), refusal=("unsupported", words))


def other() -> Iterator[Odd]:
    """JPEG 2000 of many depths; WebP; content that is no image."""
    for bits in (8, 9, 10, 12, 14, 16):
        for channels in (1, 3):
            for container in ("JP2", "J2K"):
                values = samples(bits, channels)
                stored = values.astype(np.uint8 if bits == 8 else np.uint16)
                data = imagecodecs.jpeg2k_encode(stored, level=0, bitspersample=bits,
                                                 codecformat=container)  # fmt: skip
                yield Odd(f"jpeg 2000, {container} of {bits} bits, {channels} channels",
                          bytes(data), rgb(full(values, bits)))  # fmt: skip
    out = io.BytesIO()
    alpha = np.dstack([PICTURE, PICTURE[..., 2]])
    Image.fromarray(alpha).save(out, "WEBP", lossless=True, exact=True)
    yield Odd("webp with alpha", out.getvalue(), over_black(PICTURE, PICTURE[..., 2:]))
    heads = {"gif": b"GIF89a", "heic": b"\0\0\0\x18ftypheic", "avif": b"\0\0\0\x1cftypavif",
             "pdf": b"%PDF-1.7"}  # fmt: skip
    for name, head in heads.items():
        yield Odd(name, head + bytes(5000), refusal=("unsupported", name.upper()))
    for name, data in {"text": b"not pixels", "zip": b"PK\3\4" + bytes(99), "zeros": bytes(9999),
                       "html": b"<html>no such page</html>", "elf": b"\x7fELF" + bytes(99),
                       "parquet": b"PAR1" + bytes(99)}.items():  # fmt: skip
        yield Odd(name, data, refusal=("not_an_image", "not a known image format"))
    yield Odd("nothing", b"", refusal=("empty", "no content"))


def odd_rasters() -> list[Odd]:
    """All of them."""
    return [*pngs(), *animations(), *bmps(), *other()]
