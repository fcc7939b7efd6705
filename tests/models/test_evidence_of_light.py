"""Evidence of light in front of the eye: dust shows it; lesions, reflexes and grey eyes do not."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.models.restoration.evidence import evidence

SIZE = 128
EYE = (0.62, 0.33, 0.12)
"""Red, green and blue of a retina."""


def disc(x: float, y: float, sigma: float) -> torch.Tensor:
    """A soft spot of height 1: (1, 1, S, S)."""
    at = torch.arange(SIZE) + 0.5
    return torch.exp(
        -0.5 * ((at - x).square() + (at[:, None] - y).square()) / sigma**2
    )[None, None]  # fmt: skip


def eye(colour: tuple[float, ...] = EYE, *, grain: float = 0.004) -> torch.Tensor:
    """A plain retina with a little grain, in brightness only: (1, 3, S, S)."""
    random = torch.Generator().manual_seed(3)
    grey = 1 + grain * torch.randn(1, 1, SIZE, SIZE, generator=random)
    return torch.tensor(colour).view(1, 3, 1, 1) * grey


def everywhere() -> torch.Tensor:
    return torch.ones(1, 1, SIZE, SIZE)


def at(found: torch.Tensor, x: int, y: int) -> float:
    return float(found[0, 0, y, x])


@pytest.mark.parametrize("height", [0.04, 0.1, 0.25, -0.06])
@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_light_that_was_added_is_evident(height: float, sigma: float):
    added = height * disc(64, 50, sigma).expand(-1, 3, -1, -1)
    found = evidence(eye() + added, added, everywhere())
    assert at(found, 64, 50) == pytest.approx(1, abs=1e-3)
    assert at(found, 66, 51) == pytest.approx(1, abs=0.05), "all of the spot is decided alike"


@pytest.mark.parametrize(
    ("colour", "share"),
    [
        ((0.68, 0.60, 0.46), 0.8),  # cotton-wool spot
        ((0.80, 0.66, 0.22), 0.9),  # exudate
        ((0.25, 0.06, 0.04), 0.9),  # haemorrhage
        ((0.95, 0.80, 0.45), 0.9),  # optic disc
        ((0.30, 0.20, 0.10), 0.6),  # pigment
    ],
)
def test_what_belongs_to_the_eye_is_not(colour: tuple[float, ...], share: float):
    spot = share * disc(64, 64, 3.0)
    seen = torch.lerp(eye(), torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, SIZE, SIZE), spot)
    sign = 1.0 if colour[1] > EYE[1] else -1.0
    for height in (0.05, 0.1, 0.2):
        found = evidence(
            seen, sign * height * disc(64, 64, 3.0).expand(-1, 3, -1, -1), everywhere()
        )
        assert at(found, 64, 64) == 0


def test_a_reflex_that_is_brighter_than_what_was_found_is_not():
    added = 0.1 * disc(64, 64, 2.5).expand(-1, 3, -1, -1)
    for slope, wanted in ((0.5, 0.0), (0.9, 1.0), (1.05, 1.0), (1.3, 0.0), (2.0, 0.0)):
        found = evidence(eye() + slope * added, added, everywhere())
        assert at(found, 64, 64) == pytest.approx(wanted, abs=0.02), slope


def test_a_sharp_reflex_is_not():
    """A soft spot as high as it explains too little of it."""
    down, across = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    sharp = 0.25 * (torch.hypot(across - 64, down - 64) < 6).float()[None, None]
    added = 0.2 * disc(64, 64, 3.0).expand(-1, 3, -1, -1)
    assert at(evidence(eye() + sharp, added, everywhere()), 64, 64) < 0.05


@pytest.mark.parametrize("level", [0.2, 0.5])
def test_in_a_grey_eye_nothing_is_evident(level: float):
    added = 0.1 * disc(64, 64, 2.5).expand(-1, 3, -1, -1)
    found = evidence(eye((level,) * 3) + added, added, everywhere())
    assert at(found, 64, 64) == 0


def test_texture_that_hides_a_spot_leaves_no_evidence():
    added = 0.03 * disc(64, 64, 2.0).expand(-1, 3, -1, -1)
    seen = eye(grain=0.25) + added
    assert at(evidence(seen, added, everywhere()), 64, 64) < 0.1


def test_each_spot_is_decided_by_itself():
    true, false = 0.1 * disc(40, 64, 2.5), disc(90, 64, 2.5)
    white = torch.tensor((0.68, 0.60, 0.46)).view(1, 3, 1, 1).expand(1, 3, SIZE, SIZE)
    seen = torch.lerp(eye() + true, white, 0.8 * false)
    added = (true + 0.15 * false).expand(-1, 3, -1, -1)
    found = evidence(seen, added, everywhere())
    assert at(found, 40, 64) == pytest.approx(1, abs=1e-3)
    assert at(found, 90, 64) < 1e-3


def test_without_light_there_is_no_evidence():
    found = evidence(eye(), torch.zeros(1, 3, SIZE, SIZE), everywhere())
    assert not found.any()
    empty = evidence(torch.zeros(1, 3, SIZE, SIZE), torch.zeros(1, 3, SIZE, SIZE), 0 * everywhere())
    assert not empty.any()


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6), brightness=st.floats(0.3, 1.2),
    x=st.floats(20, 108), y=st.floats(20, 108),
)  # fmt: skip
def test_it_is_a_share_and_depends_neither_on_the_exposure_nor_on_other_images(
    seed: int, brightness: float, x: float, y: float
):
    random = torch.Generator().manual_seed(seed)
    added = 0.1 * disc(x, y, 2.5).expand(2, 3, -1, -1)
    noise = torch.rand(3, SIZE, SIZE, generator=random)
    seen = torch.stack([noise, eye()[0] + added[0]])
    mask = everywhere().expand(2, -1, -1, -1)
    found = evidence(seen, added, mask)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1 + 1e-5
    dimmed = evidence(brightness * seen, brightness * added, mask)
    spot = added[:, :1] > 0.03
    assert torch.allclose(found[spot], dimmed[spot], atol=0.02)
    alone = evidence(seen[1:], added[1:], mask[1:])
    assert torch.allclose(alone, found[1:], atol=1e-5)
