"""JPEG files that decoders warn about: harmless oddities, and damage that must be found."""

from __future__ import annotations

import io
from collections.abc import Iterator

import cv2
import imagecodecs
import numpy as np
import simplejpeg
from odd import Odd
from PIL import Image

_ROWS, _COLUMNS = np.mgrid[:48, :64]
SCENE = np.stack([200 - _COLUMNS, 90 + _ROWS, 40 + (_ROWS * _COLUMNS) % 23], 2).astype(np.uint8)
EOI = b"\xff\xd9"
PIECE = b"\xff\xe2\0\x17ICC_PROFILE\0\1\1profile"
"""A piece of a colour profile that says it is the first of one."""


def jpeg(pixels: np.ndarray = SCENE, mode: str = "RGB", **options: object) -> bytes:
    """A JPEG by Pillow."""
    out = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, "JPEG", **options)
    return out.getvalue()


BASES = {
    "4:4:4": jpeg(quality=95, subsampling=0),
    "4:2:0": jpeg(quality=90, subsampling=2),
    "grey": jpeg(mode="L", quality=90),
    "restarts": jpeg(quality=90, restart_marker_blocks=3),
    "progressive": jpeg(quality=90, progressive=True),
    "optimised": jpeg(quality=70, optimize=True),
}


def decoded(data: bytes) -> np.ndarray:
    """What libjpeg-turbo makes of an undamaged file."""
    return simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)


def after_start(data: bytes, inserted: bytes) -> bytes:
    """Insert bytes behind the first segment."""
    at = 4 + int.from_bytes(data[4:6], "big")
    return data[:at] + inserted + data[at:]


def with_scan_of_zeros(data: bytes) -> bytes:
    """Zeros for Ss, Se and AhAl, as phones of one maker write."""
    at = data.index(b"\xff\xda")
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data[: end - 3] + b"\0\0\0" + data[end:]


def harmless() -> Iterator[Odd]:
    """The pixels are those of the file without the oddity."""
    for name, data in BASES.items():
        right = decoded(data)
        yield Odd(f"jpeg {name}", data, right)
        changed = {
            "fill bytes between segments": (after_start(data, b"\xff" * 5), ""),
            "zeros behind the end": (data + bytes(512), ""),
            "FF behind the end": (data + b"\xff" * 7, ""),
            "a trailer behind the end": (data + b"SEFT" + bytes(range(200)), ""),
            "a thumbnail behind the end": (data + BASES["grey"], ""),
            "an unknown segment": (after_start(data, b"\xff\xe9\0\x08abcdef"), ""),
            "damaged EXIF": (after_start(data, b"\xff\xe1\0\x10Exif\0\0garbage!"), ""),
            "a JFIF revision of 2": (data.replace(b"JFIF\0\x01", b"JFIF\0\x02"), "JFIF revision"),
            "a JFIF revision of 0": (data.replace(b"JFIF\0\x01", b"JFIF\0\x00"), "JFIF revision"),
            "stray bytes between segments": (after_start(data, b"\1\2\3"), "stray bytes"),
            "zeros between segments": (after_start(data, bytes(16)), "stray bytes"),
            "two first pieces of a profile": (after_start(data, PIECE * 2), "do not fit together"),
            "zeros before its end": (data[:-2] + bytes(64) + EOI, "zeros after its compressed"),
        }
        if name != "progressive":
            changed["a scan header of zeros"] = (with_scan_of_zeros(data), "scan header")
        for what, (odd, note) in changed.items():
            yield Odd(f"jpeg {name}, {what}", odd, right, note=note)
    adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x07"
    yield Odd("jpeg, unknown Adobe transform", after_start(BASES["4:4:4"], adobe),
              decoded(BASES["4:4:4"]), note="Adobe colour transform")  # fmt: skip


def damaged() -> Iterator[Odd]:
    """Pixels are missing or wrong: never read."""
    refusal = ("corrupt", "")
    for name, data in BASES.items():
        scan = data.index(b"\xff\xda") + 20
        middle = (scan + len(data)) // 2
        yield Odd(f"jpeg {name}, no end", data[:-2], refusal=refusal)
        yield Odd(f"jpeg {name}, half", data[:middle], refusal=refusal)
        yield Odd(f"jpeg {name}, half with an end", data[:middle] + EOI, refusal=refusal)
        yield Odd(f"jpeg {name}, half and zeros", data[:middle] + bytes(300) + EOI, refusal=refusal)
        yield Odd(f"jpeg {name}, no tables", data[:2] + data[data.index(b"\xff\xc4") :] + EOI,
                  refusal=refusal)  # fmt: skip
        yield Odd(f"jpeg {name}, leftover before its end",
                  data[:-2] + b"\x12\x34\x56\x78" * 9 + EOI, refusal=refusal)  # fmt: skip


def unread() -> Iterator[Odd]:
    """Kinds of JPEG that are refused for what they are, though Pillow does not know them."""
    deep = SCENE.astype(np.uint16) * 16
    for name, pixels in (("grey", deep[..., 0]), ("colour", deep)):
        data = imagecodecs.jpeg8_encode(np.ascontiguousarray(pixels), bitspersample=12)
        yield Odd(f"jpeg of 12 bits, {name}", bytes(data), refusal=("unsupported", "12 bits"))
    lossless = imagecodecs.ljpeg_encode(SCENE[..., 0], bitspersample=8)
    yield Odd("jpeg, lossless", bytes(lossless), refusal=("unsupported", "kind 0xc3"))
    start = BASES["4:4:4"].index(b"\xff\xc0")
    for factors in (b"\x31\x11\x11", b"\x44\x11\x11", b"\x11\x22\x22"):
        data = bytearray(BASES["4:4:4"])
        data[start + 11 : start + 20 : 3] = factors
        yield Odd(f"jpeg, colours of resolution {factors.hex()}", bytes(data),
                  refusal=("unsupported", "colours of unusual resolution"))  # fmt: skip
        cut = bytes(data[: data.index(b"\xff\xda")])
        yield Odd(f"jpeg, colours of resolution {factors.hex()}, cut in its header", cut,
                  refusal=("corrupt", "cannot be decoded"))  # fmt: skip
    for channels in (2, 5):
        data = bytearray(BASES["4:4:4"])
        data[start + 9] = channels
        yield Odd(f"jpeg of {channels} channels", bytes(data),
                  refusal=("unsupported", f"JPEG of {channels} channels"))  # fmt: skip
    bare = b"\xff\xd8\xff\xfe\0\x04ab\xff\xd9"
    yield Odd("jpeg without a frame", bare, refusal=("corrupt", "no frame header"))


def several() -> Iterator[Odd]:
    """Multi-picture files: stereo pairs, previews."""
    left, right = Image.fromarray(SCENE), Image.fromarray(SCENE[:, ::-1].copy())
    small = Image.fromarray(cv2.resize(SCENE, (16, 12)))
    options = {"quality": 95, "subsampling": 0}
    one, two = (jpeg(p, **options) for p in (SCENE, SCENE[:, ::-1].copy()))
    pair, preview, both = io.BytesIO(), io.BytesIO(), io.BytesIO()
    left.save(pair, "MPO", save_all=True, append_images=[right], **options)
    left.save(preview, "MPO", save_all=True, append_images=[small], **options)
    left.save(both, "MPO", save_all=True, append_images=[right, small], **options)
    taken, ignored = "it holds 2 pictures; the first", "1 picture of another size was ignored"
    yield Odd("mpo, a stereo pair", pair.getvalue(), decoded(one), note=taken)
    yield Odd("mpo, page 1 of a pair", pair.getvalue(), decoded(one), page=1)
    yield Odd("mpo, page 2 of a pair", pair.getvalue(), decoded(two), page=2)
    yield Odd("mpo, page 3 of a pair", pair.getvalue(), refusal=("unsupported", "page 3"), page=3)
    yield Odd("mpo, a preview", preview.getvalue(), decoded(one), note=ignored)
    yield Odd("mpo, a pair and a preview", both.getvalue(), decoded(one), note=taken)
    yield Odd("mpo, page 2 of a pair and a preview", both.getvalue(), decoded(two), page=2,
              note=ignored)  # fmt: skip
    cut = pair.getvalue()[: len(one) + 500]
    yield Odd("mpo, its second picture cut off", cut, decoded(one), note=taken)


def odd_jpegs() -> list[Odd]:
    """All of them."""
    return [*harmless(), *damaged(), *unread(), *several()]
