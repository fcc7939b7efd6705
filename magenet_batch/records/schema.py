"""The row: one per image, the same in every Parquet file that magenet writes.

The columns are public interface: `ROW_SCHEMA_VERSION` rises when one changes, and the changelog
says how. Undefined is null, never a magic number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from magenet_batch.records.vocabulary import GRADES

if TYPE_CHECKING:
    import pyarrow as pa

ROW_SCHEMA_VERSION = 9


class Column(NamedTuple):
    """One column of the row.

    Attributes:
        name: its name in the Parquet file.
        type: its Arrow type, by the name pyarrow gives it.
        unit: its unit or range, empty where there is none.
        meaning: one sentence.
    """

    name: str
    type: str
    unit: str
    meaning: str


QUALITY_MEASURES: dict[str, tuple[str, str]] = {
    "sharpness": ("0..1", "fine detail in the green channel against all detail; higher is sharper"),
    "contrast": ("0..1", "local standard deviation of lightness, mean over the field of view"),
    "illumination": ("0..1", "evenness of slow lightness over the field of view; 1 is even"),
    "colour_cast": ("0..1", "distance of the mean chromaticity from that of a healthy fundus"),
    "haze": ("0..1", "veil of scattered light: lifted dark level with washed-out colour"),
    "noise": ("0..1", "standard deviation of pixel noise relative to full scale"),
    "brightness": ("0..1", "mean lightness over the field of view"),
    "clipped": ("0..1", "share of the field of view that is burnt out or drowned in black"),
}
"""Measures of one image without a reference: name -> (range, meaning). Each gives two columns,
`<name>_before` and `<name>_after`."""

FIDELITY_MEASURES: dict[str, tuple[str, str]] = {
    "structure_agreement": ("0..1", "soft Dice overlap of the vessel maps before and after"),
    "vessel_new": ("0..1", "share of vessel length after that was not there before"),
    "vessel_lost": ("0..1", "share of vessel length before that is gone after"),
    "vessel_new_longest": ("radii", "longest stretch of vessel after that was not there before"),
    "vessel_lost_longest": ("radii", "longest stretch of vessel before that is gone after"),
    "lesion_new": ("Weber", "strongest spot of the size of a lesion that was not there before"),
    "lesion_lost": ("Weber", "strongest spot of the size of a lesion that is gone after"),
    "colour_shift": ("CIE76 dE", "mean slow colour difference in Lab between before and after"),
    "wrong_colour": ("dE in a*b*", "the same without lightness and what lifting a veil explains"),
    "lesion_contrast": ("ratio", "contrast at the scale of lesions, after over before; 1 is kept"),
    "vessel_contrast": ("ratio", "contrast of the vessels, after over before; 1 is kept"),
    "area_contrast": (
        "ratio", "contrast of the dark or bright area that lost most, after over before"
    ),
    "macula_contrast": ("ratio", "depth of the macula, after over before; 1 is kept"),
    "new_structure": (
        "log", "strongest contrast of structure that does not come from the original"
    ),
    "darkened": (
        "0..1", "share of the field of view that lost over 30 % of its luma and ends below 0.15"
    ),
    "change": ("0..1", "mean absolute change of pixel values inside the field of view"),
    "fidelity": ("0..1", "how far vessels, spots and colours were kept; 1 is wholly"),
}  # fmt: skip
"""Measures that compare the enhanced image with its original: name -> (range, meaning)."""


ESTIMATES: dict[str, tuple[str, str]] = {
    "estimated_blur": (
        "per mille", "standard deviation of the blur, relative to the field of view's diameter"
    ),
    "estimated_noise": ("percent", "standard deviation of the noise where the network works"),
    "estimated_compression": ("0..1", "loss by JPEG compression; 1 is that of quality 25"),
    "estimated_veil": ("0..1", "mean density of veil and scatter over the field of view"),
    "estimated_unevenness": (
        "log", "standard deviation of the log-illumination over the field of view"
    ),
    "estimated_spots": (
        "0..1", "share of the field of view that dust or droplets on the lens cover"
    ),
}  # fmt: skip
"""The network's estimates of what was wrong with an image: name -> (unit or range, meaning)."""


def _columns() -> tuple[Column, ...]:
    identity = [
        Column("image_id", "string", "", "stable identity: relative path or manifest key"),
        Column("source", "string", "", "where the image was read from"),
        Column("output", "string", "", "where it was written, relative to the output folder"),
        Column("bytes", "int64", "byte", "size of the source file"),
        Column("sha256", "string", "", "SHA-256 of the source file, hexadecimal"),
        Column(
            "source_version", "string", "",
            "bytes and time (ns since 1970) of the source when it was planned; null if unknown",
        ),
        Column(
            "removed", "string", "",
            "when the source was missing from a growing archive, ISO 8601; null while it is there",
        ),
        Column("output_sha256", "string", "", "SHA-256 of the output; null if there is none"),
        Column("width", "int32", "px", "width as stored upright"),
        Column("height", "int32", "px", "height as stored upright"),
        Column("format", "string", "", "format found in the content: jpeg, png, tiff, ..."),
        Column("bit_depth", "int8", "bit", "bits per channel"),
        Column(
            "decoder_note", "string", "", "what was unusual about the file; null if nothing"
        ),
        Column("status", "string", "", "enhanced, kept, withheld, assessed or failed"),
        Column("reason", "string", "", "why it was not delivered enhanced: a short fixed word"),
        Column(
            "message", "string", "",
            "why it was not delivered enhanced, or with its dust: one sentence",
        ),
        Column("fov_x", "float32", "px", "centre of the field of view from the left"),
        Column("fov_y", "float32", "px", "centre of the field of view from the top"),
        Column("fov_radius", "float32", "px", "radius of the field of view"),
        Column("fov_coverage", "float32", "0..1", "share of the full disc that is in the picture"),
        Column("fov_offset", "float32", "radii", "from the picture's centre to the disc's"),
        Column(
            "vessels_seen", "float32", "",
            "how far dark lines stand out before enhancement; about 0 on a plain surface",
        ),
        Column(
            "burned_in_text", "int16", "",
            "marks like letters in rows outside the field of view; null if there is no border",
        ),
    ]  # fmt: skip
    grades = [
        Column(name, kind, unit, f"{meaning} ({when} enhancement)")
        for when in ("before", "after")
        for name, kind, unit, meaning in [
            (f"grade_{when}", "string", "", "grade on the EyeQ scale: good, usable or reject"),
            *((f"{g}_{when}", "float32", "0..1", f"probability of the grade {g}") for g in GRADES),
        ]
    ]
    quality = [
        Column(f"{name}_{when}", "float32", unit, f"{meaning} ({when} enhancement)")
        for name, (unit, meaning) in QUALITY_MEASURES.items()
        for when in ("before", "after")
    ]
    fidelity = [
        Column(name, "float32", unit, meaning)
        for name, (unit, meaning) in FIDELITY_MEASURES.items()
    ]
    estimates = [
        Column(name, "float32", unit, meaning) for name, (unit, meaning) in ESTIMATES.items()
    ]
    closing = [
        Column("policy", "string", "", "what was to be delivered, and its thresholds, as JSON"),
        Column("look", "string", "", "natural, or clear: local contrast was raised afterwards"),
        Column("evidence", "string", "", "picture of what changed, relative to the output folder"),
        Column("flags", "list<string>", "", "what a reviewer should look at; empty when nothing"),
        Column("preview", "string", "", "small picture of what was withheld, likewise"),
        Column("decision", "string", "", "what a reviewer decided: deliver or withhold"),
        Column("reviewer", "string", "", "who decided"),
        Column("reviewed", "string", "", "when it was decided, ISO 8601"),
        Column(
            "before_review", "string", "",
            "what the first decision replaced, and the SHA-256 of what was set aside, as JSON",
        ),
        Column("read_s", "float32", "s", "time to read, hash and decode"),
        Column("enhance_s", "float32", "s", "time in the field of view search and the network"),
        Column("measure_s", "float32", "s", "time to measure quality and fidelity"),
        Column("write_s", "float32", "s", "time to encode and write"),
        Column("weights", "string", "", "name of the weights"),
        Column("weights_hash", "string", "", "SHA-256 of the weights, first 16 hexadecimal digits"),
        Column("version", "string", "", "version of magenet"),
    ]  # fmt: skip
    return (*identity, *grades, *quality, *fidelity, *estimates, *closing)


COLUMNS: tuple[Column, ...] = _columns()
COLUMN_NAMES: tuple[str, ...] = tuple(c.name for c in COLUMNS)
REVIEW_COLUMNS: tuple[str, ...] = (
    "preview", "decision", "reviewer", "reviewed", "before_review",
)  # fmt: skip
"""Columns that a review fills."""
VERSION_COLUMNS: tuple[str, ...] = ("source_version", "removed")
"""Columns that tell which version of its source a row describes."""
NEW_COLUMNS: tuple[str, ...] = (
    *REVIEW_COLUMNS, "decoder_note", "burned_in_text", *VERSION_COLUMNS, "output_sha256",
)  # fmt: skip
"""Columns of row schemas 5 and 6: rows of older outputs lack them."""
TIMING_COLUMNS: tuple[str, ...] = ("read_s", "enhance_s", "measure_s", "write_s")
"""Columns that differ between two runs of the same job; all others are reproducible."""
FILE_COLUMNS: tuple[str, ...] = ("output", "evidence", "preview")
"""Columns that name files of the output folder."""

Row = dict[str, Any]
"""Column name -> value; a missing column is null."""


def row_schema(extra: pa.Schema | None = None) -> pa.Schema:
    """The Arrow schema of a row.

    Args:
        extra: columns carried over from a manifest, appended after the row's own.

    Returns:
        The schema, with its version in the metadata under `magenet.row_schema`.
    """
    import pyarrow as pa

    fields = [
        pa.field(
            c.name, pa.list_(pa.string()) if c.type == "list<string>" else pa.type_for_alias(c.type)
        )
        for c in COLUMNS
    ]
    if extra is not None:
        fields.extend(extra)
    return pa.schema(fields, metadata={"magenet.row_schema": str(ROW_SCHEMA_VERSION)})
