"""TIFF files built tag by tag, without any library: odd bit depths, channels and colours."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
import tifffile
from odd import PICTURE, Odd, full, over_black, rgb, samples

WHITE, BLACK, RGB, PALETTE = 0, 1, 2, 3
UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2
_TURNED = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))


def packed(values: np.ndarray, bits: int, order: str) -> bytes:
    """Rows of samples, each row padded to a byte (TIFF 6.0, section 3)."""
    rows = values.reshape(values.shape[0], -1)
    if bits in (8, 16, 32):
        return rows.astype(f"{order}u{bits // 8}").tobytes()
    shifts = np.arange(bits - 1, -1, -1)
    flat = (rows[..., None].astype(np.uint32) >> shifts & 1).astype(np.uint8)
    return np.packbits(flat.reshape(len(rows), -1), axis=1).tobytes()


def tiff(
    values: np.ndarray,
    *,
    bits: int,
    photometric: int,
    order: str = "<",
    extra: tuple[int, ...] | None = None,
    planar: bool = False,
    turned: bool = False,
    tags: dict[int, tuple[int, tuple[int, ...]]] | None = None,
) -> bytes:
    """A TIFF of one uncompressed strip, or of one for each plane."""
    height, width, channels = values.shape
    planes = np.moveaxis(values, 2, 0) if planar else [values]
    strips = [packed(plane, bits, order) for plane in planes]
    if turned:
        strips = [strip.translate(_TURNED) for strip in strips]
    fields: dict[int, tuple[int, tuple[int, ...]]] = {
        256: (3, (width,)), 257: (3, (height,)), 258: (3, (bits,) * channels), 259: (3, (1,)),
        262: (3, (photometric,)), 277: (3, (channels,)), 278: (3, (height,)),
        279: (4, tuple(map(len, strips))), 284: (3, (2 if planar else 1,)),
        **({} if extra is None else {338: (3, extra)}), **({266: (3, (2,))} if turned else {}),
        **(tags or {}),
    }  # fmt: skip
    start = 8 + sum(map(len, strips))
    at, places = 8, []
    for strip in strips:
        places.append(at)
        at += len(strip)
    fields[273] = (4, tuple(places))
    entries, more = b"", b""
    behind = start + 2 + 12 * len(fields) + 4
    for tag, (kind, numbers) in sorted(fields.items()):
        code = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I"}[kind]
        content = struct.pack(f"{order}{len(numbers)}{code}", *numbers)
        count = len(numbers) // (2 if kind == 5 else 1)
        if len(content) > 4:
            pointer = struct.pack(f"{order}I", behind + len(more))
            more += content + b"\0" * (len(content) % 2)
            content = pointer
        entries += struct.pack(f"{order}HHI", tag, kind, count) + content.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    directory = struct.pack(f"{order}H", len(fields)) + entries + b"\0\0\0\0"
    return head + b"".join(strips) + directory + more


def _right(values: np.ndarray, bits: int, photometric: int, kind: int | None) -> np.ndarray:
    pixels = full(values, bits)
    colours = rgb(pixels[..., : 3 if photometric == RGB else 1])
    if photometric == WHITE:
        colours = np.iinfo(colours.dtype).max - colours
    return over_black(colours, pixels[..., -1:]) if kind == UNASSOCIATED else colours


def depths() -> Iterator[Odd]:
    """Every bit depth with every meaning of a further channel, in both byte orders."""
    for order in "<>":
        for bits in (2, 4, 6, 8, 10, 12, 14, 16):
            for photometric in (WHITE, BLACK, RGB):
                for kind in (None, UNSPECIFIED, ASSOCIATED, UNASSOCIATED):
                    channels = (3 if photometric == RGB else 1) + (kind is not None)
                    values = samples(bits, channels)
                    yield Odd(
                        f"tiff {order} {bits} bits, colours {photometric}, extra {kind}",
                        tiff(values, bits=bits, photometric=photometric, order=order,
                             extra=None if kind is None else (kind,)),
                        _right(values, bits, photometric, kind),
                        note="1 extra channel was ignored" if kind == UNSPECIFIED else "",
                    )  # fmt: skip


def layouts() -> Iterator[Odd]:
    """Planes, fill order, several further channels, an empty alpha, palettes."""
    for order in "<>":
        for bits in (8, 16):
            for channels in (3, 4, 5):
                values = samples(bits, channels)
                extra = (UNSPECIFIED,) * (channels - 3)
                yield Odd(
                    f"tiff {order} planes of {bits} bits, {channels} channels",
                    tiff(values, bits=bits, photometric=RGB, order=order, extra=extra or None,
                         planar=True),
                    full(values[..., :3], bits),
                    note=f"{channels - 3} extra channel" if extra else "",
                )  # fmt: skip
        values = samples(8)
        yield Odd(
            f"tiff {order} bits in turned order",
            tiff(values, bits=8, photometric=RGB, order=order, turned=True), full(values, 8),
        )  # fmt: skip
        for bits in (4, 8):
            table = np.random.default_rng(bits).integers(0, 256, (1 << bits, 3))
            colormap = tuple(int(v) * 257 for v in table.T.ravel())
            index = samples(bits, 1)
            yield Odd(
                f"tiff {order} palette of {bits} bits",
                tiff(index, bits=bits, photometric=PALETTE, order=order,
                     tags={320: (3, colormap)}),
                table.astype(np.uint8)[index[..., 0]],
            )  # fmt: skip
    for bits in (8, 16):
        values = samples(bits, 4)
        values[..., 3] = 0
        yield Odd(
            f"tiff {bits} bits, alpha that was never filled in",
            tiff(values, bits=bits, photometric=RGB, extra=(UNASSOCIATED,)),
            full(values[..., :3], bits), note="alpha channel is 0 everywhere",
        )  # fmt: skip
        values = samples(bits, 5)
        yield Odd(
            f"tiff {bits} bits, infrared before alpha",
            tiff(values, bits=bits, photometric=RGB, extra=(UNSPECIFIED, UNASSOCIATED)),
            over_black(full(values[..., :3], bits), full(values[..., 4:], bits)),
            note="1 extra channel was ignored",
        )  # fmt: skip
        values = samples(bits, 4)
        yield Odd(
            f"tiff {bits} bits, a fourth channel without a word on it",
            tiff(values, bits=bits, photometric=RGB), full(values[..., :3], bits),
            note="1 extra channel was ignored",
        )  # fmt: skip


def refused() -> Iterator[Odd]:
    """Samples and colours that would be read wrong."""
    for order in "<>":
        for bits, form, words in ((8, 2, "int8"), (16, 2, "int16"), (32, 3, "float32"),
                                  (32, 1, "uint32"), (1, 1, "bool")):  # fmt: skip
            data = tiff(
                samples(min(bits, 16), 1), bits=bits, photometric=BLACK, order=order,
                tags={339: (3, (form,))},
            )  # fmt: skip
            yield Odd(f"tiff {order} {bits} bits of form {form}", data,
                      refusal=("unsupported", words))  # fmt: skip
        for kind, words in ((5, "SEPARATED"), (6, "YCBCR"), (8, "CIELAB"), (9, "ICCLAB"),
                            (32803, "CFA"), (34892, "LINEAR_RAW")):  # fmt: skip
            channels = {5: 4, 32803: 1}.get(kind, 3)
            yield Odd(
                f"tiff {order} colours {kind}",
                tiff(samples(8, channels), bits=8, photometric=kind, order=order),
                refusal=("unsupported", words),
            )  # fmt: skip
        whole = tiff(samples(8), bits=8, photometric=RGB, order=order)
        yield Odd(f"tiff {order} cut", whole[:900], refusal=("corrupt", "truncated"))
        moved = tiff(samples(8), bits=8, photometric=RGB, order=order, tags={279: (4, (1 << 20,))})
        yield Odd(f"tiff {order} strip beyond the end", moved, refusal=("corrupt", "beyond"))
        bare = tiff(samples(8, 1), bits=8, photometric=PALETTE, order=order)
        yield Odd(f"tiff {order} without its palette", bare, refusal=("corrupt", "palette is"))
        few = tiff(samples(8, 2), bits=8, photometric=RGB, order=order)
        yield Odd(f"tiff {order} RGB of two samples", few, refusal=("corrupt", "2 samples"))


def _written(pixels: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, **options)
    return out.getvalue()


def stacks() -> Iterator[Odd]:
    """Several pictures, in directories of their own or in one."""
    three = np.stack([PICTURE, PICTURE // 2, PICTURE // 3])
    several = ("unsupported", "3 pages: choose one with --page")
    pages = _written(three, photometric="rgb")
    yield Odd("tiff of 3 pages", pages, refusal=several)
    for page in (1, 2, 3):
        yield Odd(f"tiff, page {page} of 3", pages, PICTURE // page, page=page)
    yield Odd("tiff, page 4 of 3", pages, refusal=("unsupported", "page 4 does not"), page=4)
    for kind, name in ((1, "thumbnail"), (4, "mask")):
        beside = _pages((PICTURE, 0), (PICTURE[::2, ::2], kind))
        yield Odd(f"tiff, a picture and its {name}", beside, PICTURE)
        yield Odd(f"tiff, a {name} alone", _pages((PICTURE, kind)), PICTURE)
    grey = three[..., 0].astype(np.uint16)
    yield Odd("tiff, ImageJ pages", _written(grey, imagej=True), refusal=several)
    described = b"ImageJ=1.53\nimages=3\nslices=3\n\0"
    one = tiff(
        grey[0][..., None], bits=16, photometric=BLACK, order=">",
        tags={270: (2, tuple(described))},
    )  # fmt: skip
    at = struct.unpack_from(">I", one, 4)[0]
    hidden = one + b"\0" * (len(one) % 2)
    stack = bytearray(hidden + grey.astype(">u2").tobytes())
    entry = one.index(struct.pack(">HHI", 273, 4, 1), at) + 8
    struct.pack_into(">I", stack, entry, len(hidden))
    yield Odd("tiff, ImageJ stack in one directory", bytes(stack),
              refusal=("unsupported", "3 pictures in one directory"))  # fmt: skip
    hidden_too = ("unsupported", "3 pictures in one directory")
    yield Odd("tiff, tifffile stack in one directory", _truncated(three), refusal=hidden_too)
    yield Odd("tiff, a description of a stack that is not there", one,
              grey[0][..., None].repeat(3, 2))  # fmt: skip


def incomplete() -> Iterator[Odd]:
    """Strips that were never written, and damaged JPEG strips, which decoders fill with grey."""
    for how in (None, "zlib", "lzw", "packbits", "zstd", "lzma", "jpeg"):
        whole = _written(PICTURE, photometric="rgb", compression=how, rowsperstrip=8, metadata=None)
        for tag, what in ((273, "place"), (279, "length")):
            missing = _with_second(whole, tag, 0)
            yield Odd(f"tiff, {how} strip without {what}", missing,
                      refusal=("corrupt", "strips or tiles are missing"))  # fmt: skip
    jpeg = _written(PICTURE, photometric="rgb", compression="jpeg", rowsperstrip=8, metadata=None)
    with tifffile.TiffFile(io.BytesIO(jpeg)) as file:
        at, length = (
            found[1] for found in (file.pages[0].dataoffsets, file.pages[0].databytecounts)
        )
    half = at + length * 3 // 4
    emptied = jpeg[:half] + b"\0" * (at + length - half) + jpeg[at + length :]
    yield Odd("tiff, JPEG strip with zeros", emptied, refusal=("corrupt", "tiff cannot be decoded"))
    yield Odd("tiff, JPEG strip that is cut", _with_second(jpeg, 279, half - at),
              refusal=("corrupt", "tiff cannot be decoded"))  # fmt: skip
    for how in ("webp", "png", "jpeg2000", "lerc"):
        yield Odd(f"tiff, {how}", _written(PICTURE, photometric="rgb", compression=how),
                  refusal=("unsupported", f"compressed with {how.upper()}"))  # fmt: skip


def _with_second(data: bytes, tag: int, value: int) -> bytes:
    """The file with another value for the second strip."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        found = file.pages[0].tags[tag]
        kind = {3: "H", 4: "I"}[int(found.dtype)]
        at = found.valueoffset + struct.calcsize(kind)
    return data[:at] + struct.pack(f"<{kind}", value) + data[at + struct.calcsize(kind) :]


def _pages(*pages: tuple[np.ndarray, int]) -> bytes:
    """Pages, each with its NewSubfileType, which tifffile would not write for every picture."""
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as file:
        for pixels, _ in pages:
            file.write(pixels, photometric="rgb", subfiletype=1)
    data = bytearray(out.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        for page, (_, kind) in zip(file.pages, pages, strict=True):
            struct.pack_into("<I", data, page.aspage().tags[254].valueoffset, kind)
    return bytes(data)


def _truncated(stack: np.ndarray) -> bytes:
    out = io.BytesIO()
    with tifffile.TiffWriter(out, shaped=True) as file:
        file.write(stack, photometric="rgb", truncate=True)
    return out.getvalue()


def odd_tiffs() -> list[Odd]:
    """All of them."""
    return [*depths(), *layouts(), *refused(), *incomplete(), *stacks()]
