"""An image whose veil was removed is not left in the dark, and keeps its hue and contrast."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.models.restoration.exposure import exposed
from magenet_batch.models.restoration.fields import Fields, luma_of, planes

SIZE = 32


def scene(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Dim images, black outside a disc, and the disc: (2, 3, S, S), (2, 1, S, S)."""
    generator = torch.Generator().manual_seed(seed)
    at = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    mask = ((at[:, None] ** 2 + at**2) < 0.9).float().expand(2, 1, -1, -1)
    x = (0.1 + 0.2 * torch.rand(2, 3, SIZE, SIZE, generator=generator)) * mask
    return x, mask


def fields_of(veil: float, *, tone: float = 0.0, believed: float = 1.0) -> Fields:
    """A veil of grey, the same everywhere, and a tone."""
    plain = torch.zeros(2, 1, 1, 1)
    return Fields(
        torch.zeros(2, 3, 4, 4), torch.full((2, 1, 4, 4), veil), torch.full((2, 3, 1, 1), 0.5),
        plain, plain.expand(-1, 3, -1, -1) + tone, *[plain.expand(-1, 3, -1, -1)] * 2,
        torch.full((2,), believed), torch.ones(2),
    )  # fmt: skip


def veiled(x: torch.Tensor, mask: torch.Tensor, density: float) -> torch.Tensor:
    return (x * (1 - density) + density * 0.5) * mask


def mean_luma(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (luma_of(x.clamp(0, 1)) * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3))


def restored(fields: Fields, x: torch.Tensor) -> torch.Tensor:
    return planes(fields.believed()).resized(SIZE).apply(x)


@pytest.mark.parametrize("density", [0.5, 0.7, 0.85])
def test_three_quarters_of_the_luma_are_left(density: float):
    x, mask = scene()
    seen = veiled(x, mask, density)
    assert (mean_luma(x, mask) < 0.7 * mean_luma(seen, mask)).all()
    found = restored(exposed(fields_of(density), seen, mask), seen)
    left = mean_luma(found, mask) / mean_luma(seen, mask)
    torch.testing.assert_close(left, torch.full((2,), 0.7408), atol=1e-3, rtol=0)
    # One gain for all channels: the true image, brighter.
    gain = (found * mask).sum((1, 2, 3)) / (x * mask).sum((1, 2, 3))
    torch.testing.assert_close(found * mask, x * gain[:, None, None, None], atol=1e-4, rtol=0)


@pytest.mark.parametrize("fields", [fields_of(0.05), fields_of(0.9, believed=0.0)])
def test_what_loses_little_stays_as_it_is(fields: Fields):
    x, mask = scene(1)
    found = exposed(fields, veiled(x, mask, 0.05), mask)
    assert all(torch.equal(a, b) for a, b in zip(found, fields, strict=True))


@given(density=st.floats(0, 0.9), tone=st.floats(-1, 1), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_nothing_becomes_darker_than_that_or_than_it_was(density: float, tone: float, seed: int):
    x, mask = scene(seed)
    seen, fields = veiled(x, mask, density), fields_of(density, tone=tone)
    found = exposed(fields, seen, mask)
    assert (found.tone >= fields.tone).all() and (found.own >= fields.own).all()
    left = mean_luma(restored(found, seen), mask) / mean_luma(seen, mask)
    assert (left > 0.73).all()


def test_a_black_image_has_finite_fields():
    _, mask = scene()
    found = exposed(fields_of(0.5), torch.zeros(2, 3, SIZE, SIZE), mask)
    assert all(torch.isfinite(t).all() for t in found)
