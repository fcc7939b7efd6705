"""Known cameras: recognised by their frame alone, and without any effect on other images."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.models.build import read_config
from magenet_batch.models.restoration.cameras import (
    ALIKE,
    KnownCameras,
    framed,
    frames_among,
    likeness,
    overlap,
)
from magenet_batch.models.restoration.config import LightConfig, RestorationConfig
from magenet_batch.models.restoration.fields import Fields
from magenet_batch.models.restoration.gates import gate
from magenet_batch.models.restoration.light import LightStage, known_features
from magenet_batch.models.restoration.statistics import STATISTICS

SIZE = 64


def frame(cut: float, *, radius: float = 0.98) -> torch.Tensor:
    """Field of view of a camera: a disc with flat cuts above and below, (1, S, S)."""
    at = (torch.arange(SIZE) + 0.5) * (2 / SIZE) - 1
    across, down = at[None], at[:, None]
    inside = (across.square() + down.square() < radius**2) & (down.abs() < cut)
    return inside.float()[None]


ROUND, FLAT, FLATTER = frame(1.0), frame(0.85), frame(0.7)


def stage(*, cameras: int = 2, frames: tuple[torch.Tensor, ...] = (FLAT,)) -> LightStage:
    """A stage with random weights, whose known cameras tell a tone of their own."""
    torch.manual_seed(3)
    made = LightStage(LightConfig(size=SIZE, grid=8, widths=(8, 12, 16, 24), cameras=cameras))
    with torch.no_grad():
        for parameter in made.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
        for index, one in enumerate(frames):
            made.known.frames[index] = framed(one[None])[0, 0]
        made.known.last.bias[:] = torch.tensor([0.3, -0.2, 0.1, 9.0, -0.4])
    return made.eval()


def seen(*frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images in these frames, and their statistics."""
    random = torch.Generator().manual_seed(1)
    mask = torch.stack(frames)
    x = 0.2 + 0.6 * torch.rand(len(frames), 3, SIZE, SIZE, generator=random)
    return x * mask, mask, torch.randn(len(frames), STATISTICS, generator=random)


def same(one: Fields, other: Fields) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def near(one: Fields, other: Fields) -> bool:
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one, other, strict=True))


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 10**6), images=st.integers(1, 4), cameras=st.integers(1, 3),
    filled=st.lists(st.floats(0, 1), min_size=2, max_size=2),
)  # fmt: skip
def test_overlap_is_intersection_over_union(
    seed: int, images: int, cameras: int, filled: list[float]
):
    random = np.random.default_rng(seed)
    masks = random.random((images, 1, 9, 9)) < filled[0]
    frames = random.random((cameras, 9, 9)) < filled[1]
    found = overlap(torch.from_numpy(masks).float(), torch.from_numpy(frames).float())
    assert found.shape == (images, cameras)
    for i in range(images):
        for k in range(cameras):
            either = (masks[i, 0] | frames[k]).sum()
            wanted = (masks[i, 0] & frames[k]).sum() / either if either else 0.0
            assert float(found[i, k]) == pytest.approx(wanted, abs=1e-6)


def test_an_empty_frame_is_like_nothing_not_even_an_empty_image():
    empty = torch.zeros(1, SIZE, SIZE)
    found = overlap(torch.stack([ROUND, empty]), torch.cat([empty, ROUND]))
    assert found.tolist() == [[0, 1], [0, 0]]
    known = KnownCameras(2, size=SIZE, features=4)
    assert not known.recognised(torch.stack([ROUND, empty])).any()


def test_frames_are_found_the_most_frequent_first():
    assert float(overlap(ROUND[None], FLAT)) < ALIKE
    masks = torch.stack([FLAT, ROUND, ROUND, FLATTER, FLAT, ROUND])
    frames, known = frames_among(masks, cameras=2, least=2)
    assert torch.equal(frames, torch.cat([ROUND, FLAT]))
    assert known.tolist() == [True, True, True, False, True, True]


@pytest.mark.parametrize(("least", "found"), [(1, 3), (2, 2), (3, 1), (4, 0)])
def test_cameras_with_too_few_photographs_are_left_out(least: int, found: int):
    masks = torch.stack([ROUND] * 3 + [FLAT] * 2 + [FLATTER])
    frames, known = frames_among(masks, cameras=4, least=least)
    assert frames.flatten(1).any(1).tolist() == [True] * found + [False] * (4 - found)
    assert int(known.sum()) == (0, 3, 5, 6)[found]


def test_a_frame_is_what_most_of_its_photographs_have():
    """Fields of view are found a little differently in each."""
    one, two = ROUND.clone(), ROUND.clone()
    one[0, 30:32, 30:32] = 0
    two[0, 20:22, 20:22] = 0
    frames, known = frames_among(torch.stack([one, ROUND, two]), cameras=1, least=3)
    assert torch.equal(frames, ROUND)
    assert known.all()


@torch.inference_mode()
def test_an_unknown_frame_gives_what_a_stage_without_known_cameras_gives():
    made, (x, mask, told) = stage(), seen(ROUND, FLATTER)
    plain = LightStage(made.config.model_copy(update={"cameras": 0})).eval()
    assert plain.known is None
    plain.load_state_dict({
        key: value for key, value in made.state_dict().items() if not key.startswith("known.")
    })  # fmt: skip
    assert same(made(x, mask, told), plain(x, mask, told))
    assert same(made(x, mask, told, views=4), plain(x, mask, views=4))


@torch.inference_mode()
def test_a_known_frame_gives_the_told_tone_and_the_same_light():
    made, (x, mask, told) = stage(frames=(ROUND, FLAT)), seen(FLAT)
    heard, deaf = made(x, mask, told), made(x, mask)
    for name in ("light", "veil", "colour", "faded", "own", "degraded"):
        assert torch.equal(getattr(heard, name), getattr(deaf, name)), name
    fields, colours = made.untoned(x, mask)
    features = made.known.normalised(known_features(fields, colours, told))
    wanted = torch.tanh(made.known(features))
    assert torch.allclose(heard.tone.flatten(1), wanted[:, :3], atol=1e-6)
    assert torch.allclose(heard.black[:, 2].flatten(), 0.15 * wanted[:, 4], atol=1e-6)
    assert not heard.black[:, :2].any(), "red and green show vessels, and keep their contrast"
    assert heard.black.any() and not deaf.black.any()
    assert not torch.allclose(heard.tone, deaf.tone, atol=1e-2)
    assert float(heard.toned) == 1
    with_others = made(x, mask, told + 3)
    assert not torch.allclose(with_others.tone, heard.tone, atol=1e-3), "statistics tell the tone"


def toned_black(fields: Fields) -> float:
    return float(fields.black[0, 2] * fields.toned)


@torch.inference_mode()
@pytest.mark.parametrize(("light", "toned"), [(9.0, 1.0), (-9.0, 0.0)])
def test_where_light_is_not_believed_the_tone_is_doubted(light: float, toned: float):
    made, (x, mask, told) = stage(), seen(FLAT)
    made.believe[-1].weight.zero_()
    made.believe[-1].bias.fill_(light)
    made.known.last.weight.zero_()
    made.known.last.bias.copy_(torch.tensor([0.3, -0.2, 0.1, 0.7, 0.5]))
    found = made(x, mask, told)
    assert float(found.toned) == pytest.approx(float(gate(torch.tensor(0.7 - 4 * (1 - toned)))))
    assert torch.allclose(found.tone.flatten(), torch.tensor([0.3, -0.2, 0.1]).tanh(), atol=1e-5)
    assert float(found.black[0, 2]) == pytest.approx(0.15 * math.tanh(0.5))
    assert float(found.believed().black[0, 2]) == pytest.approx(toned_black(found))


@torch.inference_mode()
@pytest.mark.parametrize("views", [1, 4])
def test_known_and_unknown_frames_in_a_batch_are_seen_as_alone(views: int):
    made, (x, mask, told) = stage(), seen(ROUND, FLAT, FLATTER, FLAT)
    assert made.known.recognised(mask).tolist() == [False, True, False, True]
    together = made(x, mask, told, views=views)
    for index in range(4):
        one = slice(index, index + 1)
        assert near(together.of(index), made(x[one], mask[one], told[one], views=views))


def test_a_frame_that_differs_a_little_is_recognised():
    made = stage()
    near_by, other = FLAT.clone(), FLAT.clone()
    count = int(FLAT.sum())
    inside = torch.nonzero(FLAT[0])
    for mask, share in ((near_by, 0.008), (other, 0.03)):
        rows, columns = inside[count // 2 :][: int(share * count)].T
        mask[0, rows, columns] = 0
    assert made.known.recognised(torch.stack([near_by, other])).tolist() == [True, False]


def test_a_frame_whose_rim_is_too_dark_to_see_is_recognised():
    """At its left edge nothing is lit: enlarged until it touches, it is too high."""
    size = 128
    at = (torch.arange(size) + 0.5) * (2 / size) - 1
    across, down = at[None], at[:, None]
    whole = ((across.square() + down.square() < 0.98**2) & (down.abs() < 0.8)).float()[None]
    dark = whole * (across > -0.97)
    known = KnownCameras(1, size=size, features=4)
    known.frames[0] = framed(whole[None])[0, 0]
    exactly = overlap(framed(dark[None]), known.frames)
    assert float(exactly) < ALIKE < float(likeness(dark[None], known.frames))
    assert bool(known.recognised(dark[None]))


def test_features_are_normalised_and_bounded():
    known = KnownCameras(1, size=8, features=3)
    known.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    known.spread.copy_(torch.tensor([1.0, 0.5, 1e-3]))
    found = known.normalised(torch.tensor([[2.0, 1.0, 9.0]]))
    assert found.tolist() == [[1, -2, 6]]


def test_one_like_another_has_its_size_and_tells_nothing():
    made = stage()
    new = KnownCameras.like(made.known)
    assert {k: v.shape for k, v in new.state_dict().items()} == {
        k: v.shape for k, v in made.known.state_dict().items()
    }  # fmt: skip
    assert not new.frames.any()
    assert not new(torch.randn(5, len(new.mean))).any()
    x, mask, told = seen(FLAT)
    with torch.inference_mode():
        made.known = new
        assert same(made(x, mask, told), made(x, mask))


def test_weights_that_are_older_than_known_cameras_know_none():
    told = RestorationConfig().model_dump(mode="json")
    told["light"].pop("cameras")
    read = read_config(json.dumps(told | {"light": told["light"] | {"statistics": False}}))
    assert read == RestorationConfig()
    with pytest.raises(ValueError, match="statistics"):
        read_config(json.dumps(told | {"light": told["light"] | {"statistics": True}}))
