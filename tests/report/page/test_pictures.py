import numpy as np
import pytest
from PIL import Image, ImageDraw

from magenet_batch.phantom import make_phantom
from magenet_batch.report.page.pictures import data_uri, difference, inside, thumbnail


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
