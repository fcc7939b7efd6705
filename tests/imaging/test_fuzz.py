"""No file whatever crashes, hangs or fills the memory: each is an image or has a reason."""

import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import fuzz_images
import pydicom
import pytest
import tifffile
from fuzz_images import FILES
from PIL import Image

from magenet_batch.errors import ImageError
from magenet_batch.imaging.read import read_image

SCRIPT = Path(fuzz_images.__file__)
SIDE = 14_000  # squared just under the limit of pixels


@pytest.mark.timeout(180)
def test_mutated_files_of_all_formats_end_in_an_image_or_a_reason():
    arguments = [sys.executable, SCRIPT, "--files", str(FILES), "--seed", "9"]
    path = os.pathsep.join([str(SCRIPT.parent), *filter(None, sys.path)])
    done = subprocess.run(
        arguments, capture_output=True, text=True, errors="replace", timeout=170, check=False,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["files"] == FILES >= 2000 and said["kinds"] >= 20
    assert said["outcomes"]["corrupt"] > FILES / 4, "the mutations bite"
    assert said["outcomes"]["image"] > FILES / 20, "and do not break everything"
    assert said["seconds"] < 90 and said["peak_mib"] < 1024


def test_mutations_follow_from_the_seed():
    import random

    content = fuzz_images.seeds()["png"]
    one, two = (fuzz_images.mutated(content, random.Random("1/1")) for _ in range(2))
    assert one == two != content


def lying(name: str) -> bytes:
    """A small file whose header claims an image just under the limit."""
    data = bytearray(fuzz_images.seeds()[name])
    wide, low = struct.pack(">II", SIDE, SIDE), struct.pack("<II", SIDE, SIDE)
    if name == "png":
        data[16:24] = wide
        fuzz_images.mend_png(data)
    elif name == "bmp":
        data[18:26] = low
    elif name == "jpeg 2000 codestream":
        data[8:16] = data[24:32] = wide
    elif name.startswith("tiff"):
        with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
            tags = file.pages[0].tags
            places = [tags[n].valueoffset for n in ("ImageWidth", "ImageLength")]
        for at in places:
            data[at : at + 2] = low[:2]
    else:
        d = pydicom.dcmread(io.BytesIO(bytes(data)))
        d.Rows = d.Columns = SIDE
        out = io.BytesIO()
        d.save_as(out)
        return out.getvalue()
    return bytes(data)


@pytest.mark.parametrize(
    "name",
    ["png", "bmp", "jpeg 2000 codestream", "tiff", "tiff deflate", "tiff zstd", "dicom",
     "dicom rle", "dicom jpeg-ls"],
)  # fmt: skip
def test_a_claim_just_under_the_limit_is_held_against_the_bytes(name):
    with pytest.raises(ImageError, match="can hold") as caught:
        read_image(lying(name))
    assert caught.value.reason == "corrupt"


def test_a_valid_bomb_is_refused_as_well():
    out = io.BytesIO()
    Image.new("RGB", (6000, 6000)).save(out, "WEBP", lossless=True)
    assert len(out.getvalue()) < 10_000
    with pytest.raises(ImageError, match="can hold"):
        read_image(out.getvalue())


def test_messages_cannot_drive_a_terminal():
    said = str(ImageError("corrupt", "a\x1b[2Jb\u202ec\r\nd"))
    assert said == "a [2Jb c  d"


@pytest.mark.slow
def test_the_search_by_coverage_finds_new_code_and_no_fault(tmp_path):
    pytest.importorskip("atheris")
    script = SCRIPT.with_name("fuzz_coverage.py")
    given = ["--seconds", "6", "--output", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, script, *given], capture_output=True, text=True, check=False, timeout=120
    )
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["findings"] == []
    assert said["seeds"] > 500 and said["edges"] > 1000 and said["kept_inputs"] > 0
