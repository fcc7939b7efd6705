"""The segments of a JPEG: its headers mended, its pictures found. Pixels are left alone."""

from __future__ import annotations

import io
import re
import struct
from typing import NamedTuple

from PIL import Image, MpoImagePlugin

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats.base import choose_page, pillow_density, pillow_metadata

NO_LENGTH = {0x01, *range(0xD0, 0xD8)}  # TEM and RST0..7 have no length
NOT_SOF = {0xC4, 0xC8, 0xCC}  # DHT, JPG and DAC have codes in the range of the SOFs
_SOF_LS = 0xF7
_MP_MARK = b"MPF\0"
_MP_ENTRIES = 0xB002
_PADDED_END = re.compile(rb"(?<!\xff)\x00+(?=\xff+\xd9)")
_SCAN_OF_ALL = b"\x00\x3f\x00"


class FrameHeader(NamedTuple):
    """Frame header of a JPEG, lossless JPEG or JPEG-LS.

    Attributes:
        marker: 0xC0 baseline, 0xC2 progressive, 0xC3 lossless, 0xF7 JPEG-LS, ...
        bits: bits per sample.
        width: width, pixels.
        height: height, pixels.
        components: 1 grey, 3 colour, 4 CMYK.
        marked: whether a JFIF or Adobe marker states the colour space.
    """

    marker: int
    bits: int
    width: int
    height: int
    components: int
    marked: bool


class Picture(NamedTuple):
    """One picture of a file, its headers mended, and its metadata.

    Attributes:
        data: a JPEG.
        icc: colour profile, or None.
        exif: EXIF block without orientation, or None.
        orientation: EXIF orientation, 1..8.
        density: horizontal and vertical dots per inch, or None.
        notes: what was unusual, one sentence each.
    """

    data: bytes
    icc: bytes | None
    exif: bytes | None
    orientation: int
    density: tuple[float, float] | None
    notes: tuple[str, ...]


def frame_header(data: bytes) -> FrameHeader:
    """Find the frame header (ITU T.81, B.2.2).

    Raises:
        ImageError: `corrupt`, if there is none.
    """
    at, marked = 2, False
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in NO_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if (0xC0 <= marker <= 0xCF and marker not in NOT_SOF) or marker == _SOF_LS:
            if at + 10 > len(data):
                break
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            return FrameHeader(marker, bits, width, height, components, marked)
        body = data[at + 4 : at + 9]  # decoders ignore markers that are too short
        marked = marked or (marker == 0xE0 and body == b"JFIF\0" and length >= 16)
        marked = marked or (marker == 0xEE and body == b"Adobe" and length >= 14)
        at += 2 + length
    raise ImageError("corrupt", "this jpeg is truncated: it has no frame header")


def has_scan(data: bytes) -> bool:
    """Whether the segments of a JPEG are whole up to the header of its first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in NO_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            return at <= len(data)
    return False


def open_picture(data: bytes, *, page: int | None) -> Picture:
    """Choose a picture of a file, and mend its headers.

    Several pictures (MPO; CIPA DC-007) are views of one scene: without `page` the first is read,
    which is the main one, with a note. Smaller ones are previews and do not count.

    Args:
        data: content of the file.
        page: picture to read, from 1; None for the first.

    Raises:
        ImageError: `unsupported`, if there is no such picture.
    """
    pieces: list[bytes] = [data]
    notes: tuple[str, ...] = ()
    with Image.open(io.BytesIO(data)) as image:
        if isinstance(image, MpoImagePlugin.MpoImageFile):
            pieces, notes = _pictures(image, data)
        index = choose_page(len(pieces), 1 if page is None else page)
        if not index:
            metadata, density = pillow_metadata(image), pillow_density(image)
    if index:
        with Image.open(io.BytesIO(pieces[index])) as image:
            metadata, density = pillow_metadata(image), pillow_density(image)
    elif len(pieces) > 1 and page is None:
        notes += (f"it holds {len(pieces)} pictures; the first, its main one, was read",)
    tidied, mended = tidy(pieces[index])
    return Picture(tidied, *metadata, density, notes + mended)


def _pictures(image: Image.Image, data: bytes) -> tuple[list[bytes], tuple[str, ...]]:
    """The pictures of a multi-picture file that have the size of its first."""
    whole, pieces, previews = image.size, [data], 0
    origin = data.index(_MP_MARK) + len(_MP_MARK)  # offsets count from here
    for entry in image.mpinfo[_MP_ENTRIES][1:]:  # type: ignore[attr-defined]
        start = origin + int(entry["DataOffset"])
        piece = data[start : start + int(entry["Size"])]
        try:
            header = frame_header(tidy(piece)[0])
        except ImageError:
            continue  # not a JPEG: no picture
        if (header.width, header.height) == whole:
            pieces.append(piece)
        else:
            previews += 1
    return pieces, (_counted(previews, "picture of another size was", "ignored"),) * bool(previews)


def _counted(number: int, what: str, done: str) -> str:
    plural = what if number == 1 else what.replace("picture", "pictures").replace("was", "were")
    return f"{number} {plural} {done}"


def tidy(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Mend what decoders warn about in the headers of a JPEG, which hold no pixels.

    Stray bytes between segments are left out, an unknown JFIF revision becomes 1.1, an unknown
    Adobe transform what decoders assume for it, and the unused fields of a baseline scan header get
    the values that the standard requires (ITU T.81, B.2.3). The compressed pixels stay as they are,
    so that damage to them is still found.

    Returns:
        The content, the same object if nothing was mended; and what was mended.
    """
    kept, notes, stray, at, marker = [data[:2]], [], 0, 2, 0
    baseline = False
    while at + 4 <= len(data) and marker != 0xDA:
        start = data.find(b"\xff", at)
        if start < 0 or start + 4 > len(data):
            return data, ()
        stray += start - at
        marker = data[start + 1]
        if marker in (0x00, 0xFF):
            at = start + 1
            stray += not marker
            continue
        at = start + 2
        if marker not in NO_LENGTH:
            at += int.from_bytes(data[start + 2 : start + 4], "big")
        baseline = baseline or marker in (0xC0, 0xC1)
        segment, note = _mended(data[start:at], marker, baseline=baseline)
        notes += [note] * bool(note)
        kept.append(segment)
    if stray:
        notes.insert(0, "stray bytes between its segments were left out")
    return (b"".join([*kept, data[at:]]), tuple(notes)) if notes else (data, ())


def _mended(segment: bytes, marker: int, *, baseline: bool) -> tuple[bytes, str]:
    """A segment, mended if need be, and what was wrong with it."""
    if marker == 0xE0 and segment[4:9] == b"JFIF\0" and segment[9:10] not in (b"\x01", b""):
        return segment[:9] + b"\x01\x01" + segment[11:], "its JFIF revision is unknown"
    if marker == 0xEE and segment[4:9] == b"Adobe" and segment[15:16] > b"\x02":
        return segment[:15] + b"\x01" + segment[16:], "its Adobe colour transform is unknown"
    if marker == 0xDA and baseline and len(segment) >= 8 and segment[-3:] != _SCAN_OF_ALL:
        note = "its scan header has values that baseline JPEG does not use"
        return segment[:-3] + _SCAN_OF_ALL, note
    return segment, ""


def without_profile(data: bytes) -> bytes:
    """Leave out the segments of a colour profile (ICC.1, B.4)."""
    kept, at, marker = [data[:2]], 2, 0
    while at + 4 <= len(data) and data[at] == 0xFF and marker != 0xDA:
        marker, start = data[at + 1], at
        at += 2
        if marker not in NO_LENGTH and marker != 0xFF:
            at += int.from_bytes(data[start + 2 : start + 4], "big")
        if not (marker == 0xE2 and data[start + 4 : start + 16] == b"ICC_PROFILE\0"):
            kept.append(data[start:at])
    return b"".join([*kept, data[at:]])


def without_padding(data: bytes) -> bytes:
    """Leave out zeros between compressed pixels and the end mark, where they mean nothing."""
    start = data.find(b"\xff\xda")
    return data[:start] + _PADDED_END.sub(b"", data[start:], count=1) if start >= 0 else data
