"""What a job on a DICOMweb server left behind, and what must not be in it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

USER, PASSWORD, TOKEN = "camera", "pa55word", "t0ken-of-a-hospital"
STUDY = "1.2.3"


def rows() -> list[dict]:
    files = sorted(Path("out/rows").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def written() -> str:
    """All text that a job left in its folder, rows among it."""
    texts = [p.read_text() for p in Path("out").rglob("*.json*")]
    return "\n".join([*texts, json.dumps(rows(), default=str)])
