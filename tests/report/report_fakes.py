"""A job's output folder as a job leaves it, made without a job."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from magenet_batch.phantom import make_phantom
from magenet_batch.records.schema import FIDELITY_MEASURES, QUALITY_MEASURES, row_schema

HOSTILE = "site/<script>document.title='owned'</script>\"'&\u202egnp.exe\n" + "x" * 230 + ".jpg"


def make_rows(n, *, seed=0, source=None, output=None):
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        row = {
            "image_id": f"site_{'ab'[i % 2]}/{2019 + i % 3}/img_{i:06d}.jpg",
            "bytes": 1_000,
            "width": 2_000,
            "height": 1_500,
            "format": "jpeg",
            "bit_depth": 8,
            "status": ("enhanced", "enhanced", "enhanced", "kept", "failed")[i % 5],
            "flags": [],
            "weights": "base",
            "weights_hash": "0123456789abcdef",
            "version": "0.1.0",
            "camera": ("Topcon", "Canon", None)[i % 3],
            "patient": f"p{i}",
            "policy": '{"deliver": "auto", "fidelity_min": 0.5}',
        }
        if row["status"] == "failed":
            row |= {"reason": ("corrupt", "no_fov")[i // 5 % 2], "message": "ends early <b>"}
        else:
            row |= {"source": source, "output": output, "read_s": 0.1, "enhance_s": 0.5}
            row |= {"grade_before": ("usable", "reject", "good")[i % 3], "good_before": 0.5}
            if row["status"] == "kept":
                row |= {"grade_before": "good", "reason": "good"}
            for name in QUALITY_MEASURES:
                row[f"{name}_before"] = float(rng.uniform(0.1, 0.5))
                if row["status"] == "enhanced":
                    row[f"{name}_after"] = row[f"{name}_before"] + 0.1
            if row["status"] == "enhanced":
                for name in FIDELITY_MEASURES:
                    row[name] = float(rng.uniform(0.2, 1.0))
                row["grade_after"] = ("good", "usable", "good")[i % 3]
                if i % 7 == 0:
                    row["flags"] = ["low_agreement", "new_vessels"]
        rows.append(row)
    return rows


def write_out(out, rows, *, per_file=10, run=True):
    schema = row_schema(pa.schema([("camera", pa.string()), ("patient", pa.string())]))
    (out / "rows").mkdir(parents=True, exist_ok=True)
    for part, start in enumerate(range(0, len(rows), per_file)):
        table = pa.Table.from_pylist(rows[start : start + per_file], schema=schema)
        pq.write_table(table, out / "rows" / f"part-{part:06d}.parquet")
    if run:
        record = {
            "identity": {"archive": ["/archive"], "limit": None},
            "runs": [
                {"started": "2026-01-01T10:00:00+00:00", "seconds": 30.0},
                {
                    "started": "2026-01-01T11:00:00+00:00",
                    "finished": "2026-01-01T11:00:10+00:00",
                    "command": ["magenet", "enhance", "/archive"],
                    "means": "2 workers on CPU",
                    "seconds": 10.0,
                },
            ],
        }
        (out / "run.json").write_text(json.dumps(record))
    return out


@pytest.fixture(name="out")
def out_folder(tmp_path) -> Path:
    """Forty rows with real files behind them; row 1 has a hostile name."""
    folder = tmp_path / "out"
    (folder / "images").mkdir(parents=True)
    source = tmp_path / "source.jpg"
    Image.fromarray(make_phantom(2, size=96).pixels).save(source)
    Image.fromarray(make_phantom(2, size=96).pixels).save(folder / "images" / "a.jpg")
    rows = make_rows(40, source=str(source), output="images/a.jpg")
    rows[1]["image_id"] = HOSTILE
    rows[1]["flags"] = ["low_agreement"]
    return write_out(folder, rows)


def reviewable(rows, *, preview="images/a.jpg"):
    """Rows of which some are withheld after enhancement, some fell a grade, some were decided."""
    enhanced = [row for row in rows if row["status"] == "enhanced"]
    for row in enhanced[:3]:
        row |= {"status": "withheld", "reason": "contrast_fell", "preview": preview,
                "vessel_contrast": 0.9, "flags": ["contrast_fell"]}  # fmt: skip
    enhanced[3] |= {"grade_before": "good", "grade_after": "reject", "flags": ["grade_fell"]}
    enhanced[4] |= {"decision": "deliver", "reviewer": "Dr. =A", "flags": ["new_lesion"],
                    "reviewed": "2026-01-01T00:00:00+00:00", "lesion_new": 0.5}  # fmt: skip
    return rows
