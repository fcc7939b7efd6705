"""Whole images with their statistics: made once, resumed, and the same as inference sees."""

from pathlib import Path

import numpy as np
import pytest
import torch

from magenet_batch.degradation import DegradationParams, preset, sample_degradation
from magenet_batch.models.build import build_network
from magenet_batch.models.restoration.bands import detail_bands
from magenet_batch.models.restoration.config import RESTORATION_SIZES, RestorationConfig
from magenet_batch.models.restoration.network import Restorer, Squares
from magenet_batch.models.restoration.rim import continued
from magenet_batch.models.restoration.statistics import band_statistics, statistics_of
from magenet_batch.randomness import generator
from magenet_batch.training.data.config import DataConfig
from magenet_batch.training.data.images import load_training_images
from magenet_batch.training.part import PhaseOfRun
from magenet_batch.training.progress import Reporter
from magenet_batch.training.restoration.whole import (
    WholeImages,
    gather_whole_images,
    joined,
    whole_image,
)

FULL = 128
IMAGES = load_training_images(DataConfig(size=FULL), ["phantom:2"])
CLEAN = DegradationParams()


def network(*, stir: float = 0.0) -> Restorer:
    torch.manual_seed(1)
    made = build_network(RestorationConfig(**RESTORATION_SIZES["tiny"])).eval()
    assert isinstance(made, Restorer)
    with torch.no_grad():
        for parameter in made.parameters():
            if not parameter.any():
                parameter.normal_(0, stir)
    return made


NEW = network()


def photograph(index: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    mask = IMAGES.masks[index].float()
    return IMAGES.images[index].float() / 255 * mask, mask


def make(number: int) -> WholeImages:
    how = sample_degradation(generator(3, "test", number), preset("whole"))
    return whole_image(NEW, *photograph(number % 2), how)


def run_in(folder: Path, *, stop_after: int = 10**9) -> PhaseOfRun:
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(1)
        return len(asked) >= stop_after

    return PhaseOfRun(folder, "f", 1.0, Reporter(), stopped)


def same(a: WholeImages, b: WholeImages) -> bool:
    return all(torch.equal(x, y) for x, y in zip(vars(a).values(), vars(b).values(), strict=True))


def test_images_are_small_copies_of_eight_bits_black_outside():
    size = NEW.sizes[-1]
    image = make(0)
    assert image.seen.shape == image.wanted.shape == (1, 3, size, size)
    assert image.seen.dtype == image.mask.dtype == torch.uint8
    assert not (image.seen * (1 - image.mask)).any()
    assert image.seen.any()
    assert same(image, make(0))
    assert not same(image, make(1))


def test_an_image_that_is_not_degraded_is_seen_as_it_is_wanted():
    image = whole_image(NEW, *photograph(), CLEAN)
    apart = (image.seen.int() - image.wanted.int()).abs()
    assert int(apart.max()) <= 1
    assert float(apart.float().mean()) < 0.02, "but for rounding they are the same"
    assert torch.equal(image.seen_statistics, image.wanted_statistics)


def test_the_sensor_stage_has_undone_what_is_seen_and_left_what_is_wanted():
    stirred = network(stir=0.1)
    with torch.no_grad():
        stirred.sense.estimates.bias[:] = 3.0
    image = whole_image(stirred, *photograph(), CLEAN)
    assert torch.equal(image.wanted, whole_image(NEW, *photograph(), CLEAN).wanted)
    assert int((image.seen.int() - image.wanted.int()).abs().max()) > 3


def test_statistics_are_those_that_inference_takes():
    stirred = network(stir=0.1)
    x, mask = photograph()
    image = whole_image(stirred, x, mask, CLEAN)
    pixels = np.ascontiguousarray(x.permute(1, 2, 0).numpy())
    smooth = torch.from_numpy(continued(pixels, mask[0].numpy().astype(np.uint8)))
    smooth = smooth.permute(2, 0, 1)[None]
    inner = 1 - torch.nn.functional.max_pool2d(1 - mask[None], 25, stride=1, padding=12)
    with torch.no_grad():
        sensed = stirred.sensed(smooth, inner)
        undone = stirred.undo_sensor(smooth, sensed, stirred.vessels(smooth))
    assert torch.allclose(image.seen_statistics, sensed.statistics, atol=1e-4)
    assert torch.allclose(image.wanted_statistics, sensed.statistics, atol=1e-4)
    [square] = Squares.of(undone, mask[None], sizes=stirred.sizes[-1:], least=0.98)
    assert torch.equal(image.mask.float(), square.mask)
    assert float((image.seen.float() / 255 - square.pixels).abs().max()) < 1.01 / 255


def test_degradation_shows_in_the_statistics():
    blurred = whole_image(NEW, *photograph(), DegradationParams(blur_sigma=0.02))
    clean = whole_image(NEW, *photograph(), CLEAN)
    assert not torch.allclose(blurred.seen_statistics, clean.seen_statistics, atol=0.1)
    assert torch.equal(blurred.wanted_statistics, clean.wanted_statistics)


def test_a_stop_keeps_whole_files_and_a_resume_makes_the_rest(tmp_path: Path):
    count = 20
    run = run_in(tmp_path, stop_after=1)
    assert gather_whole_images(make, tmp_path / "x", count=count, run=run) is None
    assert [p.name for p in (tmp_path / "x").iterdir()] == ["000000.safetensors"]
    made: list[int] = []

    def counted(number: int) -> WholeImages:
        made.append(number)
        return make(number)

    run = run_in(tmp_path, stop_after=1)  # the last file is followed by training
    found = gather_whole_images(counted, tmp_path / "x", count=count, run=run)
    assert found is not None
    assert made == list(range(16, 20))
    assert len(found) == count
    assert same(found, joined([make(number) for number in range(count)]))


@pytest.mark.parametrize("size", [160, 400])
def test_larger_images_are_described_by_every_other_pixel(size: int):
    x = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(5))
    bands, inner = detail_bands(x), torch.ones(1, 1, size, size)
    all_of_them = band_statistics(bands, inner)
    assert torch.equal(statistics_of(bands, inner), all_of_them) == (size < 320)
    assert torch.allclose(statistics_of(bands, inner), all_of_them, atol=0.3)
