"""What a grader looks at beside vessels: every number answers to what it is named after."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.phantom import make_phantom
from magenet_batch.quality.appearance import APPEARANCE, describe_appearance

SIZE = 256
Y, X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / (SIZE - 1) - 0.5
MASK = np.hypot(X, Y) < 0.48


def described(rgb: np.ndarray) -> dict[str, float]:
    rgb = np.ascontiguousarray(rgb, np.float32)
    around = cv2.GaussianBlur(rgb[..., 1], (0, 0), 24)
    found = describe_appearance(rgb, MASK, around)
    assert len(found) == len(APPEARANCE) and np.isfinite(found).all()
    return dict(zip(APPEARANCE, found, strict=True))


def plain(red: float = 0.6, green: float = 0.4, blue: float = 0.2) -> np.ndarray:
    return np.full((SIZE, SIZE, 3), (red, green, blue), np.float32) * MASK[..., None]


def fundus() -> np.ndarray:
    return make_phantom(5, size=SIZE).pixels.astype(np.float32) / 255


def test_a_plain_disc_has_its_colours_and_nothing_else():
    found = described(plain())
    for channel, value in (("red", 0.6), ("green", 0.4), ("blue", 0.2)):
        assert found[f"{channel}_low"] == pytest.approx(value, abs=0.01)
        assert found[f"{channel}_high"] == pytest.approx(value, abs=0.01)
        assert found[f"{channel}_range"] == pytest.approx(0, abs=0.01)
    assert found["light_tilt"] == pytest.approx(0, abs=0.01)
    assert found["light_rest"] == pytest.approx(0, abs=0.01)
    # (most - least) / most = (0.6 - 0.2) / 0.6 everywhere.
    assert found["saturation_low"] == found["saturation_high"] == pytest.approx(2 / 3, abs=1e-3)
    assert found["l_1"] == found["l_99"]


def test_light_from_one_side_is_a_tilt_and_a_bright_middle_a_bend():
    still = described(plain())
    tilted = described(plain() * (1 + 0.6 * X)[..., None])
    bowl = described(plain() * (1 - 1.5 * (X * X + Y * Y))[..., None])
    assert tilted["light_tilt"] > still["light_tilt"] + 0.05
    assert abs(tilted["light_bend"]) < 0.03
    assert bowl["light_bend"] < -0.03 and bowl["light_tilt"] < 0.02
    assert tilted["green_range"] > 0.3 and bowl["green_range"] > 0.1


@pytest.mark.parametrize(("sign", "name"), [(-1, "blob_dark"), (1, "blob_bright")])
def test_a_spot_is_a_blob_of_its_sign(sign: int, name: str):
    spot = np.exp(-((X - 0.1) ** 2 + Y**2) / (2 * 0.03**2))[..., None]
    found, without = described(plain() * (1 + sign * 0.4 * spot)), described(plain())
    assert sign * found[name] > sign * without[name] + 0.02


def test_grain_comes_with_noise_and_detail_goes_with_blur():
    sharp = fundus()
    noise = np.random.default_rng(0).normal(0, 0.03, sharp.shape)
    noisy = described(np.clip(sharp + noise, 0, 1))
    blurred = described(cv2.GaussianBlur(sharp, (0, 0), 4))
    found = described(sharp)
    for name in ("grain_middle", "grain_high", "red_grain_middle"):
        assert noisy[name] > found[name] + 0.1, name
        assert blurred[name] < found[name], name
    assert blurred["cells_middle"] < found["cells_middle"] - 0.2
    assert blurred["a_detail"] < found["a_detail"]


def test_grey_has_no_colour_at_all():
    grey = np.repeat(fundus()[..., 1:2], 3, axis=2)
    found = described(grey)
    assert max(abs(found[f"{c}_{p}"]) for c in "ab" for p in ("low", "middle", "high")) < 0.5
    assert found["saturation_high"] == 0


@given(st.integers(0, 3), st.floats(0.02, 1.0))
def test_percentiles_are_in_order_in_any_light(seed: int, light: float):
    found = described(make_phantom(seed, size=SIZE).pixels.astype(np.float32) / 255 * light)
    for names in (
        ("red_low", "red_high"), ("blue_low", "blue_high"), ("a_low", "a_middle", "a_high"),
        ("saturation_low", "saturation_middle", "saturation_high"), ("grain_middle", "grain_high"),
        ("l_1", "l_25", "l_50", "l_75", "l_99"), ("blob_dark", "blob_bright"),
        ("cells_least", "cells_low", "cells_middle", "cells_high", "cells_most"),
    ):  # fmt: skip
        values = [found[name] for name in names]
        assert values == sorted(values), names


def test_black_is_described_too():
    described(np.zeros((SIZE, SIZE, 3)))
