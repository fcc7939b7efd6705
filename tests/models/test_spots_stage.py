"""The spots stage: a new one changes nothing, faint spots stay, strong ones are undone in full."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.degradation import DegradationParams
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.kinds.spots import Spot
from magenet_batch.errors import ImageError
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.models.restoration import spots
from magenet_batch.models.restoration.config import (
    RESTORATION_SIZES,
    LightConfig,
    RestorationConfig,
    SensorConfig,
    SpotsConfig,
)
from magenet_batch.models.restoration.fields import Planes
from magenet_batch.models.restoration.network import Restorer, Squares
from magenet_batch.models.restoration.spots import SpotsStage, unspotted
from magenet_batch.models.weights import load_weights, save_weights
from magenet_batch.phantom import make_phantom

SIZE = 64
LARGE = (
    Spot(0.35, 0.4, 0.12, 0.2), Spot(0.62, 0.55, 0.1, -0.12), Spot(0.5, 0.72, 0.14, 0.1),
)  # fmt: skip


def stage(*, stir: float = 0.0) -> SpotsStage:
    torch.manual_seed(1)
    made = SpotsStage(SpotsConfig(width=8, depth=1))
    with torch.no_grad():
        made.last.weight.normal_(0, stir)
    return made.eval()


@pytest.fixture
def evident(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that a stage believes in is evident."""
    monkeypatch.setattr(spots, "evidence", lambda x, added, mask: torch.ones_like(mask))


def pictures(count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(count, 1, SIZE, SIZE)
    mask[..., 6:-6, 6:-6] = 1
    return x * mask, mask


def telling(monkeypatch: pytest.MonkeyPatch, added: torch.Tensor, belief: float) -> SpotsStage:
    """A stage that finds this light and believes in it as much."""
    made = stage()
    told = torch.full_like(added[:, :1], belief)
    monkeypatch.setattr(made, "forward", lambda x, mask: (added, told))
    return made


def squares(height: float, *, at: int = 32, side: int = 6) -> torch.Tensor:
    """Light that is added in a square, as strong everywhere."""
    added = torch.zeros(1, 3, SIZE, SIZE)
    added[..., at : at + side, at : at + side] = height
    return added


def weights(folder: Path, *, stir: float = 0.0, size: int = 128, **changes: object) -> str:
    """A network that finds nothing wrong, or one with strong effects."""
    torch.manual_seed(0)
    config = {
        **RESTORATION_SIZES["tiny"],
        "sensor": SensorConfig(widths=(8, 12, 16), working_size=512),
        "light": LightConfig(size=size, grid=8, widths=(8, 12, 16, 24)),
        **changes,
    }  # fmt: skip
    network = Restorer(RestorationConfig(size="tiny", **config))
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, stir)
        network.spots.last.weight.zero_()
        network.spots.last.bias.zero_()
        network.scatter.expected.fill_(-20.0)
        if not stir:
            network.sense.estimates.bias[:] = -20.0
            network.light.believe[-1].bias[0] = -9.0
            network.light.tone[-1].bias[3] = -9.0
    path = folder / f"spots-{stir}.safetensors"
    save_weights(network, path, name="spots", notes={})
    return str(path)


def enhancer(path: str) -> Enhancer:
    network, found = load_weights(path)
    return Enhancer(network, found, device=torch.device("cpu"))


def phantom(size: int, *, border: int = 0) -> tuple[np.ndarray, FieldOfView]:
    pixels = np.pad(make_phantom(2, size=size).pixels, ((border,) * 2, (border,) * 2, (0, 0)))
    fov = find_fov(pixels)
    assert fov is not None
    return pixels, fov


def spotted(pixels: np.ndarray, fov: FieldOfView, spots: tuple[Spot, ...] = LARGE) -> np.ndarray:
    inside = fov.mask(*pixels.shape[:2])
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    mask = torch.from_numpy(inside)[None, None].float()
    seen = apply_degradation(x, [DegradationParams(spots=spots)], mask_B1HW=mask).clamp(0, 1)
    levels = (seen * 255).round()[0].permute(1, 2, 0).numpy().astype(np.uint8)
    return np.where(inside[..., None], levels, pixels)


def truthful(one: Enhancer, clean: np.ndarray, fov: FieldOfView) -> None:
    """Make the spots stage know the clean image, and tell what was added to it."""
    kept: list[torch.Tensor] = []

    def told(x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if not kept:
            kept.append(x.clone())
        return x - kept[0], torch.ones_like(mask)

    one.network.spots.forward = told
    assert np.array_equal(one.enhance(clean, fov).pixels, clean)


@pytest.mark.usefixtures("evident")
def test_spots_stay_where_they_are_to_stay(tmp_path: Path):
    clean, fov = phantom(500)
    seen = spotted(clean, fov)
    one = enhancer(weights(tmp_path))
    truthful(one, clean, fov)
    assert not np.array_equal(one.enhance(seen, fov).pixels, seen)
    left = one.enhance(seen, fov, spots=False)
    assert np.array_equal(left.pixels, seen)
    assert left.estimates is not None
    assert left.estimates.spots == 0


def test_a_new_stage_finds_nothing_and_can_learn():
    made, (x, mask) = stage(), pictures()
    added, belief = made(x, mask)
    assert not added.any()
    assert float(belief.detach().mean()) == pytest.approx(0.5)
    assert not made.found(x, mask).any()
    (added - 0.1).square().mean().backward()
    assert made.last.weight.grad.any()


@torch.inference_mode()
def test_a_network_with_a_new_stage_is_the_same_as_without_it(tmp_path: Path):
    network, _ = load_weights(weights(tmp_path, stir=0.2))
    x, mask = torch.rand(1, 3, 256, 256), torch.ones(1, 1, 256, 256)
    found = network(x, mask)
    assert not torch.allclose(found, x, atol=0.02)
    network.spots = None
    assert torch.equal(found, network(x, mask))
    assert network.spots_of(Squares(x, mask)) is None


@pytest.mark.parametrize("size", [200, 700])
def test_a_new_stage_gives_every_pixel_back(tmp_path: Path, size: int):
    pixels, fov = phantom(size)
    for stir in (0.0, 0.2):
        with_stage = enhancer(weights(tmp_path, stir=stir))
        done = with_stage.enhance(pixels, fov)
        with_stage.network.spots = None
        assert np.array_equal(done.pixels, with_stage.enhance(pixels, fov).pixels)
        assert np.array_equal(done.pixels, pixels) == (stir == 0)
        assert done.estimates is not None
        assert done.estimates.spots == 0


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6), saturation=st.floats(1, 1.65), grid=st.sampled_from([8, 16, 32]),
    strength=st.floats(0, 0.3),
)  # fmt: skip
def test_undoing_spots_first_is_applying_the_light_to_what_is_left(
    seed: int, saturation: float, grid: int, strength: float
):
    random = torch.Generator().manual_seed(seed)

    def drawn(channels: int, size: int) -> torch.Tensor:
        return torch.rand(2, channels, size, size, generator=random, dtype=torch.float64)

    told = torch.tensor([saturation, 1.0], dtype=torch.float64).view(2, 1, 1, 1)
    light = Planes(0.3 + 2 * drawn(3, grid), drawn(3, grid) - 0.2, told)
    x, added = drawn(3, SIZE), strength * (2 * drawn(3, SIZE) - 1)
    with torch.no_grad():
        wanted = light.resized(SIZE).apply(x - added)
        found = unspotted(light, added).apply(x)
    assert torch.allclose(found, wanted, atol=1e-5)  # the matrices of the planes are float32


@pytest.mark.usefixtures("evident")
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("height", "share"), [(0.01, 0), (0.0199, 0), (0.025, 0.25), (0.03, 0.5), (0.04, 1), (0.3, 1)]
)
def test_faint_spots_stay_and_strong_ones_are_undone_in_full(
    monkeypatch: pytest.MonkeyPatch, height: float, share: float, sign: int
):
    x, mask = pictures()
    added = squares(sign * height)
    found = telling(monkeypatch, added, 1.0).found(x, mask)
    if share in (0, 1):
        assert torch.equal(found, share * added)
    assert torch.allclose(found, share * added, atol=1e-6)


@pytest.mark.usefixtures("evident")
def test_a_strong_spot_does_not_make_a_distant_faint_one_change(monkeypatch: pytest.MonkeyPatch):
    x, mask = pictures()
    strong, faint = squares(0.2), squares(0.015, at=12)
    found = telling(monkeypatch, strong + faint, 1.0).found(x, mask)
    assert torch.equal(found, strong)


@pytest.mark.usefixtures("evident")
@pytest.mark.parametrize("belief", [0.0, 0.5, 1.0])
def test_a_spot_is_undone_as_far_as_it_is_believed(monkeypatch: pytest.MonkeyPatch, belief: float):
    x, mask = pictures()
    added = squares(0.2)
    found = telling(monkeypatch, added, belief).found(x, mask)
    assert torch.equal(found, belief * added)


@pytest.mark.usefixtures("evident")
def test_outside_the_field_of_view_nothing_is_found():
    x, mask = pictures(2)
    made = stage(stir=1.0)
    with torch.inference_mode():
        found = made.found(x, mask)
    assert not (found * (1 - mask)).any()
    assert (found * mask).any()


@pytest.mark.usefixtures("evident")
@torch.inference_mode()
def test_an_image_is_seen_as_it_is_alone():
    x, mask = pictures(3)
    x[1] *= 0.2
    made = stage(stir=1.0)
    together = made.found(x, mask)
    assert together.abs().max() > 0.04
    for index in range(3):
        one = slice(index, index + 1)
        assert torch.allclose(together[one], made.found(x[one], mask[one]), atol=1e-6)


def test_strengths_are_bounded():
    made, (x, mask) = stage(), pictures()
    with torch.no_grad():
        made.last.bias[:] = 99.0
        added, belief = made(x, mask)
    assert float(added.max()) == float(added.min()) == pytest.approx(0.3)
    assert float(belief.min()) == 1


def test_squares_lose_what_spots_add_at_any_size():
    x, mask = pictures()
    added = squares(0.1, side=16)
    whole = Squares(x, mask).without(added)
    assert torch.equal(whole.pixels, (x - added).clamp(0, 1) * mask)
    assert torch.equal(whole.mask, mask)
    ones = torch.ones(1, 1, 128, 128)
    large = Squares(0.5 * ones.expand(1, 3, -1, -1), ones).without(added)
    taken = 0.5 - large.pixels
    assert float(taken[..., 70:90, 70:90].min()) == pytest.approx(0.1, abs=1e-6)
    assert not taken[..., :60, :].any()


@pytest.mark.usefixtures("evident")
@pytest.mark.parametrize("size", [512, 1100])
def test_known_spots_are_undone(tmp_path: Path, size: int):
    pixels, fov = phantom(size)
    dirty = spotted(pixels, fov)
    one = enhancer(weights(tmp_path))
    truthful(one, pixels, fov)
    done = one.enhance(dirty, fov)
    inside = fov.without_rim(0.06).mask(size, size)
    before, after = (np.abs(p.astype(int) - pixels)[inside] for p in (dirty, done.pixels))
    assert before.max() > 25
    assert after.max() <= 4
    assert after.mean() < 0.1 * before.mean()
    outside = ~fov.mask(size, size)
    assert np.array_equal(done.pixels[outside], pixels[outside])
    added = np.abs(dirty.astype(int) - pixels).max(2)[fov.mask(size, size)]
    assert done.estimates is not None
    assert done.estimates.spots == pytest.approx((added > 0.02 * 255).mean(), abs=0.03)


@pytest.mark.usefixtures("evident")
@torch.inference_mode()
def test_the_network_of_whole_squares_undoes_known_spots(monkeypatch: pytest.MonkeyPatch):
    """Those which training and validation use."""
    network = Restorer(RestorationConfig(
        sensor=None, light=None, structure=None, spots=SpotsConfig(width=8, depth=1)
    )).eval()  # fmt: skip
    x, mask = torch.full((1, 3, 128, 128), 0.4), torch.ones(1, 1, 128, 128)
    dirty = apply_degradation(x, [DegradationParams(spots=LARGE)], mask_B1HW=mask)
    monkeypatch.setattr(network.spots, "forward", lambda s, m: (s - 0.4, torch.ones_like(m)))
    found = network(dirty, mask)
    assert float((dirty - x).abs().max()) > 0.1
    assert float((found - x).abs().max()) < 0.0205, "what is left is fainter than a spot"
    assert float((found - x).abs().mean()) < 0.1 * float((dirty - x).abs().mean())


@pytest.mark.usefixtures("evident")
def test_a_batch_of_spotted_and_clean_images_comes_out_as_each_alone(tmp_path: Path):
    pixels, fov = phantom(300)
    one = enhancer(weights(tmp_path))
    truthful(one, pixels, fov)
    dirty = spotted(pixels, fov)
    cleaned = one.enhance(dirty, fov).pixels
    batch = [p.pixels for p in one.enhance_many([(dirty, fov), (pixels, fov), (dirty, fov)])]
    assert np.array_equal(batch[1], pixels), "an image without spots keeps its bits"
    for found in (batch[0], batch[2]):
        assert np.abs(found.astype(int) - cleaned).max() <= 1
    assert np.abs(cleaned.astype(int) - dirty).max() > 20


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Enhancer]:
    one = enhancer(weights(tmp_path))
    with torch.no_grad():
        one.network.spots.last.bias.fill_(float("nan"))
    yield one


def test_a_stage_that_yields_nan_is_an_error(broken: Enhancer):
    with pytest.raises(ImageError, match="not finite"):
        broken.enhance(*phantom(300))


@pytest.mark.usefixtures("evident")
def test_scanned_film_keeps_its_dust(tmp_path: Path):
    pixels, fov = phantom(300, border=25)
    one = enhancer(weights(tmp_path))
    dirty = spotted(pixels, fov)
    truthful(one, pixels, fov)
    outside = ~fov.mask(*pixels.shape[:2])
    film, half = dirty.copy(), dirty.copy()
    film[outside], half[outside] = (12, 20, 16), (12, 12, 12)
    changed, kept, some = (one.enhance(p, fov) for p in (dirty, film, half))
    assert np.abs(changed.pixels.astype(int) - dirty).max() > 20
    assert np.array_equal(kept.pixels, film)
    assert kept.estimates is not None
    assert kept.estimates.spots == 0
    taken = [np.abs(a.pixels.astype(int) - b).sum() for a, b in ((some, half), (changed, dirty))]
    assert 0 < taken[0] < taken[1]


@pytest.mark.usefixtures("evident")
def test_a_picture_that_is_cut_is_cleaned_too(tmp_path: Path):
    pixels, fov = phantom(400)
    cut = replace(fov, y=fov.y - 60, top=0, bottom=280, height=280)
    clean, dirty = (np.ascontiguousarray(p[60:340]) for p in (pixels, spotted(pixels, fov)))
    one = enhancer(weights(tmp_path))
    truthful(one, clean, cut)
    done = one.enhance(dirty, cut).pixels
    inside = cut.without_rim(0.06).mask(280, 400)
    assert np.abs(done.astype(int) - clean)[inside].max() <= 5
