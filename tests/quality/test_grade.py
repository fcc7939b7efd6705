"""The grader: right by hand, sure of the plain cases, and clear about weights it cannot use."""

from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import save_file

from magenet_batch.errors import WeightsError
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.grade import (
    SHIPPED,
    Grader,
    assess_quality,
    beyond_help,
    quality_score,
    shipped_grader,
)
from magenet_batch.quality.measures import MeasuringCopy, measure_scaled
from magenet_batch.quality.visibility import FEATURES, describe, ridge
from magenet_batch.records.schema import QUALITY_MEASURES
from magenet_batch.records.vocabulary import GRADES

SIZE = 640
DISC = FieldOfView(320, 320, 300, 0, 0, SIZE, SIZE, SIZE, SIZE)


def two_trees() -> Grader:
    """One tree that asks for feature 0 and then 1, and one that asks for feature 2."""
    return Grader(
        roots=np.array([0, 5]),
        feature=np.array([0, 1, 0, 0, 0, 2, 0, 0]),
        threshold=np.array([0.5, 0.5, 0, 0, 0, 0.5, 0, 0], np.float32),
        left=np.array([1, 3, 2, 3, 4, 6, 6, 7]),
        right=np.array([2, 4, 2, 3, 4, 7, 6, 7]),
        value=np.array([0, 0, 2, 0, 1, 0, 0, 2], np.float32),
        cuts=np.array([0.5, 1.5]),
        scale=np.array([2.0]),
    )


def described(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    copy = MeasuringCopy.of(pixels, fov)
    found = describe(copy, measure_scaled(copy.rgb, copy.mask))
    assert found is not None
    return found


def phantom(seed: int, size: int = SIZE) -> tuple[np.ndarray, FieldOfView]:
    pixels = make_phantom(seed, size=size).pixels
    fov = find_fov(pixels)
    assert fov is not None
    return pixels, fov


def spoilt(pixels: np.ndarray) -> np.ndarray:
    """Blurred beyond all vessels, and veiled."""
    blurred = cv2.GaussianBlur(pixels, (0, 0), pixels.shape[0] / 40)
    return np.where(pixels.max(2, keepdims=True) > 12, blurred // 3 + 90, pixels).astype(np.uint8)


@pytest.mark.parametrize(
    ("x", "latent"),
    [((0, 0, 0), 0.0), ((0, 1, 0), 0.5), ((1, 0, 0), 1.0), ((0.5, 0.5, 1), 1.0), ((1, 1, 1), 2.0)],
)
def test_a_forest_of_two_trees_agrees_with_the_hand(x: tuple[float, ...], latent: float):
    features = np.array(x, np.float64)
    assert two_trees().latent(features) == latent
    above = [1 / (1 + np.exp(-2 * (latent - cut))) for cut in (0.5, 1.5)]
    expected = [1 - above[0], above[0] - above[1], above[1]]
    assert two_trees().probabilities(features) == pytest.approx(expected)


def test_the_shipped_forest_is_a_forest():
    grader = shipped_grader()
    nodes = len(grader.feature)
    assert {f.name for f in fields(Grader)} == set(vars(grader))
    assert grader.feature.min() >= 0 and grader.feature.max() < len(FEATURES)
    for name in ("roots", "left", "right"):
        assert getattr(grader, name).min() >= 0 and getattr(grader, name).max() < nodes
    assert grader.cuts[0] < grader.cuts[1] and grader.scale[0] > 0


def test_probabilities_are_probabilities_whatever_the_features():
    rng = np.random.default_rng(0)
    for _ in range(200):
        chances = shipped_grader().probabilities(rng.normal(0, 3, len(FEATURES)))
        assert chances.sum() == pytest.approx(1)
        assert chances.min() >= 0 and chances.max() <= 1


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_sharp_picture_beats_its_spoilt_copy(seed: int):
    pixels, fov = phantom(seed)
    sharp, bad = (assess_quality(p, fov) for p in (pixels, spoilt(pixels)))
    assert set(sharp) == {"grade", *GRADES, *QUALITY_MEASURES}
    assert quality_score(sharp) > quality_score(bad)
    assert bad["grade"] != "good"
    for row in (sharp, bad):
        assert sum(row[grade] for grade in GRADES) == pytest.approx(1)
        assert row["grade"] == max(GRADES, key=row.__getitem__)


@pytest.mark.parametrize("value", [0, 1, 128, 254, 255])
def test_a_flat_frame_is_not_good(value: int):
    row = assess_quality(np.full((SIZE, SIZE, 3), value, np.uint8), DISC)
    assert row["grade"] != "good"
    assert np.isfinite([row[grade] for grade in GRADES]).all()


def test_the_same_picture_gets_the_same_grade_at_either_depth():
    pixels, fov = phantom(5)
    once, again = assess_quality(pixels, fov), assess_quality(pixels.copy(), fov)
    deep = assess_quality(pixels.astype(np.uint16) * 257, fov)
    assert once == again
    assert deep["good"] == pytest.approx(once["good"], abs=0.03)


@pytest.mark.parametrize("seed", [1, 2, 6])
def test_half_the_size_hardly_matters(seed: int):
    pixels, fov = phantom(seed, 1200)
    small = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    half = find_fov(small)
    assert half is not None
    whole, reduced = described(pixels, fov), described(small, half)
    assert reduced == pytest.approx(whole, abs=0.1, rel=0.03)
    scores = (quality_score(assess_quality(*each)) for each in ((pixels, fov), (small, half)))
    assert next(scores) == pytest.approx(next(scores), abs=0.15)


def test_where_too_little_is_seen_nothing_is_described():
    rgb, nothing = np.zeros((60, 60, 3), np.float32), np.zeros((60, 60), bool)
    assert describe(MeasuringCopy(rgb, nothing, DISC), measure_scaled(rgb, nothing)) is None
    unknown = dict.fromkeys(("grade", *GRADES))
    assert quality_score(unknown) is None


def test_a_ridge_is_a_dark_line_and_nothing_else():
    line, edge, spot = (np.ones((65, 65), np.float32) for _ in range(3))
    line[31:34] -= 0.3
    edge[32:] -= 0.3
    cv2.circle(spot, (32, 32), 2, 0.7, -1)
    along = ridge(line, 2.0)[:, 32]
    assert along.argmax() == 32
    assert along[32] > 5 * ridge(spot, 2.0)[32, 32]
    assert ridge(2 - line, 2.0)[32, 32] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "other", "features"])
def test_weights_that_cannot_be_used_give_a_sentence(tmp_path: Path, damage: str):
    path = tmp_path / "grader.safetensors"
    arrays = {name: np.ascontiguousarray(x) for name, x in vars(shipped_grader()).items()}
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(SHIPPED.read_bytes()[:-100])
    elif damage == "other":
        save_file({"w": np.zeros(3, np.float32)}, path, {"features": ",".join(FEATURES)})
    elif damage == "features":
        save_file(arrays, path, {"features": "another"})
    with pytest.raises(WeightsError, match="Install magenet again"):
        Grader.load(path)


def test_weights_survive_the_round_trip(tmp_path: Path):
    arrays = {name: np.ascontiguousarray(x) for name, x in vars(two_trees()).items()}
    save_file(arrays, tmp_path / "g.safetensors", {"features": ",".join(FEATURES)})
    assert Grader.load(tmp_path / "g.safetensors").latent(np.ones(3)) == 2.0


@pytest.mark.parametrize("chances", [(0.9, 0.1, 0.0), (0.2, 0.6, 0.2), (0.01, 0.04, 0.95)])
def test_a_surface_without_a_vessel_is_reject_whatever_the_forest_says(chances):
    found = beyond_help(np.array(chances))
    assert found.sum() == pytest.approx(1) and found[2] == pytest.approx(max(0.9, chances[2]))
    assert found[0] * chances[1] == pytest.approx(found[1] * chances[0])


def test_only_surfaces_without_a_vessel_are_beyond_help(monkeypatch: pytest.MonkeyPatch):
    usable = np.array([0.2, 0.7, 0.1])
    monkeypatch.setattr(Grader, "probabilities", lambda self, features: usable)
    pixels, fov = phantom(4)
    assert assess_quality(pixels, fov)["grade"] == "usable"
    plain = np.where(fov.mask(SIZE, SIZE)[..., None], 120, 0).astype(np.uint8).repeat(3, axis=2)
    assert assess_quality(plain, fov)["grade"] == "reject"
    # Where the field of view is too small to tell, nothing is said of vessels.
    small = cv2.resize(pixels, (160, 160), interpolation=cv2.INTER_AREA)
    found = find_fov(small)
    assert found is not None and assess_quality(small, found)["grade"] == "usable"
