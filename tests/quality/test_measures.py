"""Every measure answers to what it is named after, and to little else."""

import cv2
import numpy as np
import pytest

from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.quality import measures
from magenet_batch.quality.measures import at_measuring_scale, measure_quality
from magenet_batch.records.schema import QUALITY_MEASURES

SIZE = 560


def retina(*, size=SIZE, seed=0):
    """A disc with lines of several widths on it, (size, size, 3) uint8, and its field of view."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((size, size, 3), np.float32)
    centre, radius = size / 2, 0.46 * size
    cv2.circle(picture, (round(centre), round(centre)), round(radius), (150, 85, 40), -1)
    lines = np.zeros((size, size), np.float32)
    for _ in range(60):
        a, b = rng.uniform(0, size, (2, 2)).astype(int).tolist()
        cv2.line(lines, a, b, 1.0, int(rng.integers(1, 5) * size / SIZE + 0.5), cv2.LINE_AA)
    picture *= 1 - 0.35 * lines[..., None]
    fov = FieldOfView(centre, centre, radius, 0, 0, size, size, size, size)
    return np.clip(picture, 0, 255).astype(np.uint8), fov


def changed(change):
    """The measures of the plain picture and of the changed one."""
    picture, fov = retina()
    after = np.clip(change(picture.astype(np.float32)), 0, 255).astype(np.uint8)
    return measure_quality(picture, fov), measure_quality(after, fov)


def test_the_keys_are_those_of_the_row_and_the_values_are_in_range():
    picture, fov = retina()
    row = measure_quality(picture, fov)
    assert list(row) == list(QUALITY_MEASURES)
    assert all(isinstance(v, float) and 0 <= v <= 1 for v in row.values())


@pytest.mark.parametrize("level", [0, 255])
def test_blank_pictures_give_numbers_too(level):
    _, fov = retina()
    row = measure_quality(np.full((SIZE, SIZE, 3), level, np.uint8), fov)
    assert all(np.isfinite(v) and 0 <= v <= 1 for v in row.values())
    assert row["clipped"] == 1
    assert row["sharpness"] < 0.01


def test_nothing_to_measure_gives_nulls():
    fov = FieldOfView(-500, -500, 20, 0, 0, 0, 0, SIZE, SIZE)
    picture, _ = retina()
    try:
        row = measure_quality(picture, fov)
    except cv2.error:
        pytest.fail("an empty field of view is no reason to fail")
    assert list(row) == list(QUALITY_MEASURES)
    assert set(row.values()) == {None}


def test_sharpness_falls_with_blur():
    values = []
    for sigma in (0.01, 1, 2, 4, 8):
        picture, fov = retina()
        values.append(measure_quality(cv2.GaussianBlur(picture, (0, 0), sigma), fov)["sharpness"])
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 0.3


def test_contrast_falls_when_lightness_is_flattened():
    before, after = changed(lambda x: 0.4 * x + 0.6 * x.mean((0, 1)))
    assert after["contrast"] < 0.6 * before["contrast"]


def test_illumination_falls_with_a_shadow_on_one_side():
    ramp = np.linspace(0.3, 1, SIZE, dtype=np.float32)[None, :, None]
    before, after = changed(lambda x: x * ramp)
    assert before["illumination"] > 0.85
    assert after["illumination"] < before["illumination"] - 0.2


def test_colour_cast_rises_with_a_tint_and_not_with_brightness():
    before, tinted = changed(lambda x: x * (0.7, 1.0, 1.6))
    _, dimmed = changed(lambda x: 0.7 * x)
    assert tinted["colour_cast"] > before["colour_cast"] + 0.1
    assert dimmed["colour_cast"] == pytest.approx(before["colour_cast"], abs=0.02)


def test_haze_rises_with_a_veil():
    before, after = changed(lambda x: 0.5 * x + 90)
    assert after["haze"] > before["haze"] + 0.2


def test_brightness_and_clipping():
    before, after = changed(lambda x: 3.5 * x)
    assert after["brightness"] > before["brightness"] + 0.2
    assert after["clipped"] > 0.5 > before["clipped"]


@pytest.mark.parametrize("sigma", [0.005, 0.02, 0.05])
def test_noise_is_measured_in_its_own_unit(sigma):
    rng = np.random.default_rng(0)
    flat = (0.5 + rng.normal(0, sigma, (300, 300))).astype(np.float32)
    assert measures.noise(flat, np.ones((300, 300), bool)) == pytest.approx(sigma, rel=0.03)


def test_resolution_and_compression_hardly_matter():
    picture, fov = retina(size=1600)
    half = cv2.resize(picture, (800, 800), interpolation=cv2.INTER_AREA)
    _, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
    plain = measure_quality(picture, fov)
    for other in (
        measure_quality(half, fov.scaled(0.5)),
        measure_quality(cv2.imdecode(packed, cv2.IMREAD_COLOR), fov),
    ):
        for name, value in plain.items():
            assert other[name] == pytest.approx(value, abs=0.02), name


def test_bit_depth_does_not_matter():
    picture, fov = retina()
    deep = measure_quality(picture.astype(np.uint16) * 257, fov)
    for name, value in measure_quality(picture, fov).items():
        assert deep[name] == pytest.approx(value, abs=0.004), name


def test_the_border_does_not_matter():
    picture, fov = retina()
    grey = np.where(fov.mask(SIZE, SIZE)[..., None], picture, np.uint8(90))
    for name, value in measure_quality(picture, fov).items():
        assert measure_quality(grey, fov)[name] == pytest.approx(value, abs=0.03), name


def test_the_scale_is_that_of_the_field_of_view():
    picture, fov = retina(size=1600)
    small, mask = at_measuring_scale(picture, fov)
    assert small.shape[:2] == mask.shape
    assert abs(max(mask.shape) - 512) <= 2
    assert 0.6 < mask.mean() < 0.78
