"""Text outside the field of view is found; notches, glow, noise and compression are not text."""

import cv2
import numpy as np
import pytest

from magenet_batch.imaging.fov import find_fov
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.lettering import letters_outside

SIZE = 640
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_TRIPLEX)
WORDS = ("DOE JANE", "12/03/2019", "P-7041")


def photograph(seed=3, *, side=60):
    """A phantom with dark borders at both sides, wide enough for words."""
    pixels = make_phantom(seed, size=SIZE).pixels
    return cv2.copyMakeBorder(pixels, 0, 0, 3 * side, 3 * side, cv2.BORDER_CONSTANT)


def written(
    pixels, text, *, at=(12, 40), scale=0.7, font=FONTS[0], colour=(255, 255, 255), thick=1
):
    done = pixels.copy()
    cv2.putText(done, text, at, font, scale, colour, thick, cv2.LINE_AA)
    return done


def letters(pixels):
    fov = find_fov(pixels)
    assert fov is not None
    return letters_outside(pixels, fov)


def jpeg(pixels, quality):
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].copy()


def noisy(pixels, sigma, *, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def with_notch(pixels, fov, *, angle=0.6, size=0.08):
    """A bright triangle on the edge of the field of view, as cameras mark what is up."""
    x, y = (fov.x + fov.radius * np.cos(angle), fov.y - fov.radius * np.sin(angle))
    s = size * fov.radius
    corners = np.array([(x - s, y - s), (x + s, y - s), (x, y + s)], np.int32)
    return cv2.fillPoly(pixels.copy(), [corners], (200, 120, 60))


@pytest.mark.parametrize("font", FONTS)
@pytest.mark.parametrize("text", WORDS)
def test_words_and_dates_are_found(text, font):
    pixels = photograph()
    assert letters(pixels) == 0
    for scale in (0.6, 1.0):
        found = letters(written(pixels, text, font=font, scale=scale + (font == FONTS[1])))
        assert found >= 4, (text, scale)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_text_is_found(turns):
    pixels = np.ascontiguousarray(np.rot90(written(photograph(), "DOE JANE 1950"), turns))
    assert letters(pixels) >= 4


@pytest.mark.parametrize("colour", [(90, 90, 90), (255, 255, 0), (0, 200, 0), (255, 60, 60)])
def test_dim_and_coloured_text_is_found(colour):
    assert letters(written(photograph(), "12/03/2019", colour=colour)) >= 4


@pytest.mark.parametrize("quality", [95, 75, 40])
@pytest.mark.parametrize("sigma", [0, 3, 8])
def test_compressed_and_noisy_borders_are_no_text_and_hide_none(quality, sigma):
    pixels = photograph()
    assert letters(jpeg(noisy(pixels, sigma), quality)) == 0
    assert letters(jpeg(noisy(written(pixels, "DOE JANE", thick=2), sigma), quality)) >= 4


def test_sixteen_bits_and_large_pictures_count_the_same():
    pixels = written(photograph(), "DOE JANE")
    few = letters(pixels)
    assert letters(pixels.astype(np.uint16) * 257) == few
    large = cv2.resize(pixels, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    assert letters(large) >= 4


@pytest.mark.parametrize("seed", range(12))
def test_phantoms_without_text_have_none(seed):
    pixels = make_phantom(seed, size=SIZE).pixels
    fov = find_fov(pixels)
    assert not letters_outside(pixels, fov)
    assert not letters_outside(noisy(pixels, 6, seed=seed), fov)


@pytest.mark.parametrize("angle", [0.6, 2.2, -0.8])
def test_a_notch_is_no_text(angle):
    pixels = photograph()
    fov = find_fov(pixels)
    for size in (0.04, 0.08):
        assert letters_outside(with_notch(pixels, fov, angle=angle, size=size), fov) == 0


def test_glow_lines_dots_and_bars_are_no_text():
    pixels = photograph()
    fov = find_fov(pixels)
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    away = np.maximum(np.hypot(x - fov.x, y - fov.y) - fov.radius, 0)
    glow = 120 * np.exp(-away / (0.1 * fov.radius))[..., None]
    assert letters_outside(np.maximum(pixels, glow.astype(np.uint8)), fov) == 0
    for draw in (
        lambda p: cv2.line(p, (10, 20), (150, 34), (255, 255, 255), 2),
        lambda p: cv2.rectangle(p, (10, 20), (120, 60), (255, 255, 255), 2),
        lambda p: [cv2.circle(p, (20 + 25 * i, 30), 6, (255, 255, 255), -1) for i in range(5)],
        lambda p: [cv2.rectangle(p, (20 + 20 * i, 20), (28 + 20 * i, 40), (255,) * 3, -1)
                   for i in range(6)],
    ):  # fmt: skip
        drawn = pixels.copy()
        draw(drawn)
        assert letters_outside(drawn, fov) == 0


def test_fewer_than_four_letters_name_nobody():
    assert letters(written(photograph(), "OD")) == 0


def test_text_inside_the_field_of_view_is_not_looked_for():
    pixels = photograph()
    middle = (pixels.shape[1] // 2 - 60, pixels.shape[0] // 2)
    assert letters(written(pixels, "DOE JANE", at=middle)) == 0


def test_without_a_border_nothing_is_said():
    pixels = make_phantom(3, size=SIZE).pixels
    fov = find_fov(pixels)
    y, x = round(fov.y), round(fov.x)
    half = round(0.6 * fov.radius)
    inner = np.ascontiguousarray(pixels[y - half : y + half, x - half : x + half])
    found = find_fov(inner)
    assert found is None or letters_outside(inner, found) is None
