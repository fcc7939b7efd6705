"""PS3.3 as a test: what dicom-validator and dciodvfy find wrong with a DICOM file.

dicom-validator downloads the standard when it runs. Tests have no network, so its tables are made
from those of the package dicom-standard (edition of 2020), conditions and enumerated values
included. dciodvfy of dicom3tools, which knows more rules, is asked too if it is installed.
"""

from __future__ import annotations

import html
import importlib.metadata
import importlib.util
import io
import json
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.tag import Tag

_TABLES = ("sops", "ciods", "ciod_to_modules", "module_to_attributes")
_INTEGERS = ("US", "SS", "UL", "SL", "IS")
_TEXTS = ("CS", "LO", "SH", "UI")
_LISTED = re.compile(
    r"<strong>Enumerated Values(?: for Value (\d+))?:</strong>(.*?)</dl>", re.DOTALL
)
_TERM = re.compile(r"<dt>\s*<span>([^<]+)</span>")
_UNKNOWN_CLASS = "Information Object Not found"
_UNEXPECTED = "TagUnexpected"
ADDED = {Tag("DerivationAlgorithmSequence")}
"""Attributes of a Standard Extended SOP Class, on purpose (docs/dicom-conformance.md)."""


def installed() -> bool:
    """Whether both packages are there."""
    names = ("dicom_validator", "dicom_standard")
    return all(importlib.util.find_spec(name) is not None for name in names)


@cache
def _table(name: str) -> list[dict[str, Any]]:
    (file,) = [
        f for f in importlib.metadata.files("dicom-standard") or () if f.name == f"{name}.json"
    ]
    return json.loads(Path(file.locate()).read_text())


@cache
def _by_module() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _table("module_to_attributes"):
        found.setdefault(row["moduleId"], []).append(row)
    return found


@cache
def _dictionary() -> dict[str, dict[str, str]]:
    return {
        f"({tag >> 16:04X},{tag & 0xFFFF:04X})": {"name": entry[2], "vr": entry[0], "vm": entry[1]}
        for tag, entry in DicomDictionary.items()
    }


@cache
def _parser() -> Any:
    from dicom_validator.spec_reader.condition_parser import ConditionParser

    return ConditionParser(_dictionary())


@cache
def _condition(text: str) -> dict[str, Any] | None:
    found = _parser().parse(text)
    return None if found.type is None or found.type.user_defined else found.result_dict()


def _plain(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def _enumerated(markup: str, tag: str) -> list[dict[str, Any]]:
    kind = _dictionary().get(tag, {}).get("vr", "")
    found = []
    for index, listed in _LISTED.findall(markup):
        values: list[Any] = [html.unescape(term).strip() for term in _TERM.findall(listed)]
        if kind in _INTEGERS:
            values = [int(v[:-1], 16) if v.endswith("H") else int(v) for v in values]
        elif kind not in _TEXTS:
            continue
        found.append({"val": values, **({"index": int(index)} if index else {})})
    return found


def _name(part: str) -> str:
    """A tag as dicom-validator writes it, such as `(0028,0010)` or `(60xx,0010)`."""
    return f"({part[:4]},{part[4:]})".upper().replace("X", "x")


@cache
def _module(name: str) -> dict[str, Any]:
    """The attributes of a module as dicom-validator describes them, sequences nested."""
    top: dict[str, Any] = {}
    for row in _by_module().get(name, []):
        if row["type"] not in ("1", "1C", "2", "2C", "3"):
            continue
        level = top
        *outer, tag = (_name(part) for part in row["path"].split(":")[1:])
        for sequence in outer:
            level = level.setdefault(sequence, {"type": "3"}).setdefault("items", {})
        about: dict[str, Any] = {"name": tag, "type": row["type"]}
        if row["type"] in ("1C", "2C", "3") and (cond := _condition(_plain(row["description"]))):
            about["cond"] = cond
        if enums := _enumerated(row["description"], tag):
            about["enums"] = enums
        level[tag] = {**level.get(tag, {}), **about}
    return top


@cache
def _tables_of(sop_class: str) -> Any:
    """What dicom-validator needs to know of one class."""
    from dicom_validator.validator.dicom_info import DicomInfo

    (name,) = [row["ciod"] for row in _table("sops") if row["id"] == sop_class]
    (key,) = [row["id"] for row in _table("ciods") if row["name"] == name]
    modules: dict[str, dict[str, Any]] = {}
    for row in _table("ciod_to_modules"):
        if row["ciodId"] == key:
            entry = {"ref": row["moduleId"], "use": row["usage"]}
            if row["conditionalStatement"] and (cond := _condition(row["conditionalStatement"])):
                entry["cond"] = cond
            modules[row["moduleId"]] = entry
    iods = {sop_class: {"title": name, "modules": modules, "group_macros": {}}}
    return DicomInfo(_dictionary(), iods, {m: _module(m) for m in modules})


def faults(dataset: Dataset) -> set[tuple[str, ...]]:
    """Attributes that dicom-validator finds wrong: their place and name, and the kind of fault.

    Args:
        dataset: a data set; nothing is found if the tables do not have its class.
    """
    from dicom_validator.validator.error_handler import NullValidationResultHandler
    from dicom_validator.validator.iod_validator import IODValidator

    sop_class = str(dataset.SOPClassUID)
    if not any(row["id"] == sop_class for row in _table("sops")):
        return set()
    tables = _tables_of(sop_class)
    result = IODValidator(dataset, tables, error_handler=NullValidationResultHandler()).validate()
    found = set()
    for errors in result.module_errors.values():
        for tag, error in errors.items():
            path = [int(p) for p in tag.parents or ()] + [int(tag.tag)]
            listed = any(_lists(module, path) for module in tables.modules.values())
            if not ADDED.intersection(path) and not (listed and error.code.name == _UNEXPECTED):
                found.add((*map(keyword_for_tag, path), error.code.name))
    return found


def new_faults(content: bytes, *, source: Dataset) -> list[tuple[str, ...]]:
    """Faults of a derived file that its source does not have; none without the packages."""
    if not installed():
        return []
    new = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
    return sorted(faults(new) - faults(source))


def _lists(module: dict[str, Any], path: list[int]) -> bool:
    """Whether a module has an attribute: two modules may describe items of one sequence."""
    for tag in path:
        attribute = module.get(_name(f"{tag:08x}"))
        if attribute is None:
            return False
        module = attribute.get("items", {})
    return True


def complaints(content: bytes) -> list[str]:
    """Errors that dciodvfy reports; none if it is not installed."""
    if shutil.which("dciodvfy") is None:
        return []
    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
        file.write(content)
        file.flush()
        done = subprocess.run(["dciodvfy", file.name], capture_output=True, text=True,
                              errors="replace", check=False)  # fmt: skip
    said = (done.stdout + done.stderr).splitlines()
    assert any(line.strip() for line in said)
    wrong = [line for line in said if line.startswith(("Error", "Fatal", "Abort"))]
    return [] if any(_UNKNOWN_CLASS in line for line in wrong) else wrong
