"""The data card of an output folder: what it holds, in Croissant (JSON-LD), for catalogues.

Croissant 1.0: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magenet_batch import __version__
from magenet_batch.records.layout import IMAGES, ROWS
from magenet_batch.records.schema import COLUMNS, ROW_SCHEMA_VERSION, TIMING_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

_CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs",
    "column": "cr:column", "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"}, "equivalentProperty": "cr:equivalentProperty",
    "samplingRate": "cr:samplingRate", "dataType": {"@id": "cr:dataType",
    "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/", "examples": {"@id": "cr:examples",
    "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
    "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject", "fileSet": "cr:fileSet",
    "format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField",
    "path": "cr:path", "rai": "http://mlcommons.org/croissant/RAI/", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated",
    "replace": "cr:replace", "sc": "https://schema.org/", "separator": "cr:separator",
    "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip
_KINDS = {"string": "sc:Text", "list<string>": "sc:Text", "float32": "sc:Float"}
_FILES = "rows"


def data_card(*, options: dict[str, Any], created: str, extra: pa.Schema) -> dict[str, Any]:
    """Describe the output folder of a job.

    Args:
        options: options that determined the outputs, by name, as in `run.json`.
        created: when the job was created, ISO 8601.
        extra: columns carried over from manifests.

    Returns:
        JSON-ready values; nothing in them names a patient or a path of the archive.
    """
    task = "assessed" if options.get("task") == "assess" else "enhanced"
    weights = options.get("weights_hash")
    by = f" by weights {weights}" if weights and task == "enhanced" else ""
    fields = [
        _field(c.name, _KINDS.get(c.type, "sc:Integer"), _meaning(c.unit, c.meaning),
               repeated=c.type.startswith("list"))
        for c in COLUMNS
        if c.name not in TIMING_COLUMNS
    ]  # fmt: skip
    fields += [_field(one.name, _kind(one.type), "carried over from the manifest") for one in extra]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"fundus-photographs-{task}",
        "description": f"Fundus photographs {task}{by}, one row per image with quality, fidelity "
        f"and reasons. Written by magenet {__version__}, row schema {ROW_SCHEMA_VERSION}.",
        "datePublished": created,
        "version": "1.0.0",
        "isLiveDataset": True,
        "distribution": [
            _files(_FILES, "One row per image.", f"{ROWS}/*.parquet", "application/x-parquet"),
            *(
                [_files("images", "Delivered images.", f"{IMAGES}/**", "image/*")]
                if task == "enhanced"
                else []
            ),
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "rows/table",
                "name": "table",
                "description": "The rows; docs/rows.md describes each column.",
                "key": {"@id": "rows/table/image_id"},
                "field": fields,
            }
        ],
    }


def _kind(kind: pa.DataType) -> str:
    """The type of a manifest's column; whatever has no other is text."""
    from pyarrow import types

    if types.is_integer(kind):
        return "sc:Integer"
    if types.is_floating(kind):
        return "sc:Float"
    return "sc:Boolean" if types.is_boolean(kind) else "sc:Text"


def _meaning(unit: str, meaning: str) -> str:
    return f"{meaning} [{unit}]" if unit else meaning


def _files(name: str, description: str, includes: str, kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet", "@id": name, "name": name, "description": description,
        "encodingFormat": kind, "includes": includes,
    }  # fmt: skip


def _field(name: str, kind: str, description: str, *, repeated: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {
        "@type": "cr:Field", "@id": f"rows/table/{name}", "name": name,
        "description": description, "dataType": kind,
        "source": {"fileSet": {"@id": _FILES}, "extract": {"column": name}},
    }  # fmt: skip
    return found | ({"repeated": True} if repeated else {})
