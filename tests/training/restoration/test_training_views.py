"""Crops that the sensor part learns from: what counts in them, and what is said of them."""

import cv2
import numpy as np
import pytest
import torch

from magenet_batch.degradation import DegradationParams
from magenet_batch.degradation.crops import degrade_crop
from magenet_batch.degradation.sample import Preset
from magenet_batch.errors import TrainingError
from magenet_batch.models.restoration.bands import REACH
from magenet_batch.phantom import make_phantom
from magenet_batch.randomness import generator
from magenet_batch.training.data.config import DataConfig
from magenet_batch.training.restoration import views
from magenet_batch.training.restoration.config import SensorTrainingConfig
from magenet_batch.training.restoration.views import (
    Crops,
    Photograph,
    check_sizes,
    draw_crops,
    facts,
    load_photographs,
)

CONFIG = SensorTrainingConfig(batch=4, crop=96, views=(0.6, 0.9))
PHOTOGRAPHS = load_photographs(DataConfig(size=256), ("phantom:2",))
WHOLE = SensorTrainingConfig(batch=1, crop=96, native=1.0, recoloured=0.0)


def drawn(step: int = 0, config: SensorTrainingConfig = CONFIG) -> Crops:
    return draw_crops(generator(1, "test", step), PHOTOGRAPHS, config)


def half_dark(lit: int = 70) -> Photograph:
    """A square of 96 px of which `lit` columns are in the field of view."""
    mask = np.zeros((96, 96), np.uint8)
    mask[:, :lit] = 1
    pixels = np.random.default_rng(3).integers(60, 200, (96, 96, 3), np.uint8)
    return Photograph(pixels * mask[..., None], mask, 96.0)


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The preset leaves every image as it is."""
    monkeypatch.setattr(views, "preset", lambda name: Preset({}, severity=(0, 1), untouched=1.0))


@pytest.mark.parametrize("native", [0.0, 1.0])
@pytest.mark.usefixtures("untouched")
def test_what_is_untouched_is_what_is_wanted(native: float):
    """But for the rounding of a file of eight bits."""
    crops = drawn(config=CONFIG.model_copy(update={"native": native}))
    assert float((crops.seen - crops.wanted).abs().max()) <= 0.5 / 255 + 1e-6
    assert not crops.facts.any()


def test_what_is_wanted_is_the_light_of_what_is_seen():
    """Blur, noise and compression leave the mean of a crop as it is, whatever the light."""
    crops = drawn()
    count = crops.mask.sum((2, 3)).clamp_min(1)
    mean = [(t * crops.mask).sum((2, 3)) / count for t in (crops.seen, crops.wanted)]
    assert torch.allclose(*mean, atol=0.02)
    assert not torch.equal(crops.seen, crops.wanted)
    assert crops.seen.shape == crops.wanted.shape == (4, 3, 96, 96)
    assert 0 <= float(crops.seen.min()) <= float(crops.seen.max()) <= 1


@pytest.mark.usefixtures("untouched")
def test_errors_count_inside_but_for_a_rim_and_statistics_further_in():
    crops = draw_crops(generator(1, "test", 0), [half_dark()], WHOLE)
    lit = crops.wanted[0].mean(0) * 0 + crops.mask[0, 0]
    assert set(crops.mask.unique().tolist()) == set(crops.inner.unique().tolist()) == {0, 1}
    assert int(crops.mask.sum()) == (70 - 3) * 96
    edge = REACH // 2
    reached = torch.zeros(96, 96)
    reached[edge:-edge, edge:-edge] = 1
    assert not (crops.inner[0, 0] * (1 - reached)).any()
    assert not (crops.inner[0, 0] * (1 - lit)).any()
    eroded = cv2.erode(half_dark().mask, np.ones((25, 25), np.uint8), borderValue=1)
    assert int(crops.inner.sum()) == int((eroded * reached.numpy()).sum())


@pytest.mark.usefixtures("untouched")
def test_outside_the_field_of_view_the_light_goes_on():
    crops = draw_crops(generator(1, "test", 0), [half_dark()], WHOLE)
    outside = crops.mask[0, 0] == 0
    assert float(crops.seen[0][:, outside].min()) > 0.2
    assert float(crops.wanted[0][:, outside].min()) > 0.2


def test_a_generator_gives_its_batch_again_and_another_gives_another():
    one, two, three = drawn(5), drawn(5), drawn(6)
    for name in ("seen", "wanted", "mask", "inner", "facts"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name
    assert one.side == two.side
    assert not torch.equal(one.seen, three.seen)


def test_all_crops_of_a_batch_have_one_reduction_and_it_is_told():
    sides = {drawn(step).side for step in range(12)}
    full = float(np.mean([p.side for p in PHOTOGRAPHS]))
    assert full in sides
    assert all(0.6 * full <= side < 0.9 * full for side in sides - {full})


@pytest.mark.parametrize("height", [512, 1000])
@pytest.mark.parametrize("length", [0.0, 1.0, 2.0])
def test_the_noise_that_is_told_is_that_of_the_pixels(height: int, length: float):
    params = DegradationParams(
        noise_read=0.01, noise_shot=0.0004, noise_seed=5, noise_length=length
    )
    grey = np.full((400, 400, 3), 0.5, np.float32)
    measured = float((degrade_crop(grey, params, height=height) - grey).std())
    assert facts(params, height, 0.5)[1] == pytest.approx(100 * measured, rel=0.04)


@pytest.mark.parametrize("shape", ["gaussian", "disc", "box"])
def test_the_blur_that_is_told_is_that_of_the_pixels(shape: str):
    params = DegradationParams(blur_sigma=0.004, blur_shape=shape)
    point = np.zeros((81, 81, 3), np.float32)
    point[40, 40] = 1
    spread = degrade_crop(point, params, height=800)[..., 0].sum(0)
    at = np.arange(81) - 40
    measured = float(np.sqrt((spread * at**2).sum() / spread.sum()))
    assert facts(params, 800, 0.5)[0] == pytest.approx(measured, rel=0.02)


@pytest.mark.parametrize(("quality", "loss"), [(0, 0), (95, 0), (60, 0.5), (25, 1)])
def test_compression_is_told_from_none_to_severe(quality: int, loss: float):
    assert facts(DegradationParams(jpeg_quality=quality), 512, 0.5)[2] == pytest.approx(loss)


def test_photographs_keep_their_size_and_are_cut_to_their_field_of_view():
    seed = 1
    phantom = make_phantom(seed, size=256)
    photograph = PHOTOGRAPHS[seed]
    height, width = photograph.mask.shape
    assert photograph.pixels.shape == (height, width, 3)
    assert width <= 256
    assert photograph.side == pytest.approx(width, abs=6)
    assert photograph.mask.mean() > 0.7
    assert not photograph.pixels[photograph.mask == 0].any()
    assert photograph.pixels[photograph.mask > 0].mean() == pytest.approx(
        phantom.pixels[phantom.fov > 0].mean(), rel=0.02
    )


def test_images_without_a_field_of_view_are_left_out(tmp_path):
    folder = tmp_path / "clean"
    folder.mkdir()
    cv2.imwrite(str(folder / "black.png"), np.zeros((200, 200, 3), np.uint8))
    cv2.imwrite(str(folder / "good.png"), make_phantom(0, size=200).pixels[..., ::-1])
    assert len(load_photographs(DataConfig(root=str(tmp_path)), ("clean",))) == 1


@pytest.mark.parametrize("photographs", [[], PHOTOGRAPHS])
def test_photographs_that_hold_no_crop_are_refused(photographs: list[Photograph]):
    """Instead of looking for a crop without end."""
    config = SensorTrainingConfig(crop=224, views=(0.5, 0.7))
    with pytest.raises(TrainingError, match=r"need a field of view of 448 px.*sensor\.crop"):
        check_sizes(photographs, config)
    check_sizes(PHOTOGRAPHS, CONFIG)
