"""Nothing auxiliary ends a job or costs an image: messages, evidence, odd tags, the folder."""

import io
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
from dicom_files import SECONDARY_CAPTURE, dicom
from PIL import Image

from magenet_batch.imaging.metadata import Provenance
from magenet_batch.imaging.read import read_image
from magenet_batch.imaging.write import encode_image
from magenet_batch.records.layout import (
    LONGEST_NAME,
    evidence_name,
    preview_name,
    sidecar_name,
)

_Y, _X = np.mgrid[:96, :96]
_INSIDE = ((_X - 48) ** 2 + (_Y - 48) ** 2 < 44**2)[..., None]
DISC = np.where(_INSIDE, np.stack([180 + _X // 4, 90 + _Y // 4, 40 + _X // 8], 2), 0)
DISC = DISC.astype(np.uint8)


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(DISC).save(folder / f"{number}.png")
    return folder


def shell(command, *, cwd):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "M": sys.executable}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def rows_of(out):
    return [
        r for p in sorted((out / "rows").glob("*.parquet")) for r in pq.read_table(p).to_pylist()
    ]


ASSESS = '"$M" -m magenet_batch assess archive -o out --workers 0'


@pytest.mark.parametrize(
    "command",
    [
        f"{ASSESS} 2>&-",
        f"{ASSESS} >&- 2>&- <&-",
        f"{ASSESS} 2>/dev/full",
        f"set -o pipefail; {ASSESS} 2>&1 | head -n 1 >/dev/null",
        f"set -o pipefail; {ASSESS} 2>&1 | true",
    ],
)
def test_a_job_does_not_need_a_reader(archive, tmp_path, command):
    done = shell(command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "out")
    assert [r["status"] for r in rows] == ["assessed"] * 3
    assert not any(b"magenet" in p.read_bytes() for p in archive.iterdir())


def test_workers_do_not_need_a_reader_either(archive, tmp_path):
    command = ASSESS.replace("--workers 0", "")
    done = shell(f"set -o pipefail; {command} 2>&1 | head -n 1 >/dev/null", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(rows_of(tmp_path / "out")) == 3


def test_a_deleted_working_directory_is_said(archive, tmp_path):
    away = 'mkdir gone && cd gone && rmdir "$PWD" &&'
    done = shell(f"{away} {ASSESS}", cwd=tmp_path)
    assert done.returncode == 2
    assert "the working directory was deleted" in done.stderr and "Traceback" not in done.stderr


def test_absolute_paths_do_not_need_a_working_directory(archive, tmp_path):
    away = 'mkdir gone && cd gone && rmdir "$PWD" &&'
    full = ASSESS.replace("archive", str(archive)).replace("-o out", f"-o {tmp_path / 'out'}")
    done = shell(f"{away} {full}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(rows_of(tmp_path / "out")) == 3


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "é" * 125 + "x.png", "b.png"])
@pytest.mark.parametrize(
    ("name_of", "place", "suffix"),
    [
        (evidence_name, "evidence", ".jpg"),
        (preview_name, "review/previews", ".jpg"),
        (sidecar_name, "images", ".magenet.json"),
    ],
)
def test_names_of_what_lies_beside_an_image_fit(name_of, place, suffix, name, tmp_path):
    made = name_of(f"folder/{name}")
    folder, _, last = made.rpartition("/")
    assert folder == f"{place}/folder" and last.endswith(suffix)
    assert len(last.encode()) <= LONGEST_NAME
    (tmp_path / last).write_bytes(b"")
    other = name_of(f"folder/{name[:-5]}z.png")
    assert other != made


def test_an_image_with_a_long_name_has_evidence(tmp_path, monkeypatch):
    from magenet_batch.cli.main import main

    folder = tmp_path / "archive"
    folder.mkdir()
    name = "n" * 251 + ".png"
    Image.fromarray(DISC).save(folder / name)
    monkeypatch.chdir(tmp_path)
    code = main(["enhance", "archive", "-o", "out", "--workers", "0", "--gpus", "0", "--evidence",
                 "--policy", "all"])  # fmt: skip
    (row,) = rows_of(tmp_path / "out")
    assert code == 0 and row["status"] in ("enhanced", "withheld", "kept"), row["message"]
    assert (tmp_path / "out" / row["evidence"]).is_file()


def with_letters(name, value):
    """A secondary capture one of whose numbers is not one."""
    d = pydicom.dcmread(io.BytesIO(dicom(DISC, sop_class=SECONDARY_CAPTURE)))
    d.PixelSpacing = [0.01, 0.01]
    out = io.BytesIO()
    d.save_as(out)
    whole = out.getvalue()
    vr = {"SeriesNumber": b"IS", "InstanceNumber": b"IS", "PixelSpacing": b"DS"}[name]
    element = d[name]
    before = b"\\".join(
        str(v).encode() for v in (element.value if element.VM > 1 else [element.value])
    )
    before += b" " * (len(before) % 2)
    tag = element.tag.group.to_bytes(2, "little") + element.tag.element.to_bytes(2, "little")
    old = tag + vr + len(before).to_bytes(2, "little") + before
    assert old in whole
    value += b" " * (len(value) % 2)
    return whole.replace(old, tag + vr + len(value).to_bytes(2, "little") + value)


@pytest.mark.parametrize("name", ["SeriesNumber", "InstanceNumber", "PixelSpacing"])
@pytest.mark.parametrize("value", [b"A12", b"", b"1\\2\\3"])
@pytest.mark.parametrize("size", [96, 48])
def test_letters_in_a_number_do_not_cost_a_dicom(name, value, size):
    image = read_image(with_letters(name, value))
    pixels = np.ascontiguousarray(image.pixels[:: 96 // size, :: 96 // size])
    data = encode_image(pixels, like=image, format="dicom", provenance=Provenance("w", "0"))
    np.testing.assert_array_equal(read_image(data).pixels, pixels)
    if name == "SeriesNumber":
        assert not pydicom.dcmread(io.BytesIO(data)).SeriesNumber
