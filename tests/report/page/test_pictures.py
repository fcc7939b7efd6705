import base64
import io
import json

import cv2
import numpy as np
import pytest
from dicom_files import dicom
from PIL import Image, ImageDraw
from report_fakes import make_rows, write_out

from magenet_batch.phantom import make_phantom
from magenet_batch.report.page.gallery import make_gallery
from magenet_batch.report.page.pictures import data_uri, difference, inside, thumbnail
from magenet_batch.report.totals.collect import collect


@pytest.fixture(name="eye", scope="module")
def one_eye():
    return Image.fromarray(make_phantom(3, size=240).pixels)


def coloured(image):
    """How far each pixel is from grey, and whether it is orange (red above blue)."""
    pixels = np.asarray(image).astype(int)
    return np.ptp(pixels, axis=2), pixels[..., 0] > pixels[..., 2]


def test_an_invented_vessel_is_orange_and_an_erased_one_blue(eye):
    drawn = eye.copy()
    ImageDraw.Draw(drawn).line([(90, 150), (150, 150)], fill=(60, 10, 5), width=3)
    chroma, orange = coloured(difference(eye, drawn)[0])
    assert chroma[150, 100:140].min() > 60
    assert orange[150, 100:140].all()
    chroma, orange = coloured(difference(drawn, eye)[0])
    assert chroma[150, 100:140].min() > 60
    assert not orange[150, 100:140].any()


def test_light_and_colour_are_no_change_of_structure(eye):
    pixels = np.asarray(eye).astype(float)
    slope = np.linspace(0.85, 1.0, pixels.shape[1])[None, :, None]
    lit = Image.fromarray((pixels * slope * [0.95, 1.0, 0.9]).astype(np.uint8))
    chroma, _ = coloured(difference(eye, lit)[0])
    assert np.percentile(chroma, 95) < 20
    assert coloured(difference(eye, eye)[0])[0].max() == 0


def test_nothing_is_drawn_outside_of_the_field_of_view(eye):
    noisy = np.asarray(eye).copy()
    noisy[:8, :8] = 255
    picture = np.asarray(difference(eye, Image.fromarray(noisy))[0])
    assert picture[-5:, -5:].max() == 0
    assert picture.shape == (240, 240, 3)


def test_a_difference_is_made_small(eye):
    assert difference(eye, eye, longest=100)[0].size == (100, 100)


def test_files_outside_of_the_job_are_not_shown(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (tmp_path / "out" / "a.png").write_bytes(b"x")
    (tmp_path / "out" / "link.png").symlink_to(tmp_path / "secret.png")
    out = tmp_path / "out"
    assert inside(out, "a.png") == (out / "a.png").resolve()
    for name in (None, "", "../secret.png", str(tmp_path / "secret.png"), "link.png", "a\0.png",
                 "x" * 5_000):  # fmt: skip
        assert inside(out, name) is None


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff broken", b"text"])
def test_files_that_are_no_pictures_are_left_out(tmp_path, data):
    (tmp_path / "a.jpg").write_bytes(data)
    assert thumbnail(tmp_path / "a.jpg", longest=100) is None
    assert thumbnail(tmp_path / "none.jpg", longest=100) is None


def test_thumbnails_are_small_and_upright(tmp_path, eye):
    wide = eye.crop((0, 0, 240, 120))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned by a quarter
    wide.save(tmp_path / "a.jpg", exif=exif)
    assert thumbnail(tmp_path / "a.jpg", longest=100).size == (50, 100)
    assert data_uri(wide).startswith("data:image/jpeg;base64,")


def shown(uri):
    data = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    return np.asarray(Image.open(io.BytesIO(data))).astype(int)


@pytest.mark.parametrize(
    ("model", "right"), [("ybr", True), (None, False), ("rgb", False), ("cmyk", False), (7, False)]
)
def test_originals_are_shown_in_the_colours_that_the_job_read(tmp_path, eye, model, right):
    pixels = np.asarray(eye)
    ybr = np.ascontiguousarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]])
    source = tmp_path / "source.dcm"
    source.write_bytes(dicom(ybr))  # labelled RGB
    out = tmp_path / "out"
    (out / "images").mkdir(parents=True)
    (out / "images" / "a.dcm").write_bytes(dicom(pixels))  # an output, labelled rightly
    (out / "images" / "b.dcm").write_bytes(dicom(ybr))  # a copy of the original
    rows = make_rows(5, source=str(source), output="images/a.dcm")[1:4]
    rows[2] |= {"source": str(tmp_path / "gone.dcm"), "output": "images/b.dcm"}
    write_out(out, rows)
    record = json.loads((out / "run.json").read_text())
    record["identity"]["colour_model"] = model
    (out / "run.json").write_text(json.dumps(record))
    pairs = make_gallery(collect(out)).all
    assert {pair.row["status"] for pair in pairs} == {"enhanced", "kept"}
    for pair in pairs:
        assert (np.abs(shown(pair.before) - pixels).mean() < 4) == right
        if pair.row["status"] == "enhanced":
            assert np.abs(shown(pair.after) - pixels).mean() < 4, "outputs are read as labelled"
