"""How a job was run, from its record, for commands that work on its output folder later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from magenet_batch.jobs.options import ImageOptions
from magenet_batch.jobs.policy import POLICIES
from magenet_batch.models.catalog import shipped_names
from magenet_batch.storage import expanded, is_store


def recorded_options(identity: dict[str, Any]) -> ImageOptions:
    """How a job read and wrote images, from its record; the policy is that of delivering all."""
    names = ("quality", "resolution", "page", "colour_model")
    as_given: dict[str, Any] = {name: identity.get(name) for name in names}
    return ImageOptions(
        **as_given,
        output_format=identity.get("output_format", "source"),
        metadata=identity.get("metadata", "keep"), policy=POLICIES["all"],
        dicom_syntax=identity.get("dicom_syntax", "explicit"),
        deidentify=identity.get("deidentify", "none"),
        kept=identity.get("kept", "copy"), rejects=identity.get("rejects", "omit"),
        grey=identity.get("grey", "keep"), evidence=False, assess=False,
        look=identity.get("look", "natural"),
    )  # fmt: skip


def recorded_weights(identity: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    """The weights as they can be found from here: a relative path is one of the job's folder."""
    name = str(identity.get("weights") or "")
    if name in shipped_names() or is_store(name):
        return name
    folder = str(runs[-1].get("folder") or "") if runs else ""
    path = Path(folder) / expanded(name)
    return str(path) if path.is_file() else name
