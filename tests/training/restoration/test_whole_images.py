"""Whole images with their statistics: made once, resumed, and the same as inference sees."""

from pathlib import Path

import numpy as np
import pytest
import torch

from magenet_batch.degradation import PRESETS, DegradationParams
from magenet_batch.models.build import build_network
from magenet_batch.models.restoration.bands import detail_bands
from magenet_batch.models.restoration.config import RESTORATION_SIZES, RestorationConfig
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.restoration.rim import continued
from magenet_batch.models.restoration.statistics import band_statistics, statistics_of
from magenet_batch.randomness import generator
from magenet_batch.training.data.config import AugmentConfig, DataConfig
from magenet_batch.training.data.images import load_training_images
from magenet_batch.training.part import PhaseOfRun
from magenet_batch.training.progress import Reporter
from magenet_batch.training.restoration.cameras import CameraVariety
from magenet_batch.training.restoration.pairs import Views, drawing
from magenet_batch.training.restoration.whole import (
    WholeImages,
    gather_whole_images,
    joined,
    whole_images,
)

SIZE, FULL = 32, 128
IMAGES = load_training_images(DataConfig(size=FULL), ["phantom:2"])
VIEWS = Views(IMAGES, CameraVariety(AugmentConfig()), drawing(PRESETS["whole"], veils=True))


def make(number: int) -> WholeImages:
    return VIEWS.whole(generator(3, "test", number), full=FULL, size=SIZE)


def run_in(folder: Path, *, stop_after: int = 10**9) -> tuple[PhaseOfRun, list[int]]:
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(1)
        return len(asked) >= stop_after

    return PhaseOfRun(folder, "f", 1.0, Reporter(), stopped), asked


def same(a: WholeImages, b: WholeImages) -> bool:
    return all(torch.equal(x, y) for x, y in zip(vars(a).values(), vars(b).values(), strict=True))


def test_images_are_small_copies_of_eight_bits_black_outside():
    image = make(0)
    assert image.seen.shape == image.wanted.shape == (1, 3, SIZE, SIZE)
    assert image.seen.dtype == image.mask.dtype == torch.uint8
    assert not (image.seen * (1 - image.mask)).any()
    assert image.seen.any()
    assert same(image, make(0))
    assert not same(image, make(1))


def test_an_image_that_is_not_degraded_is_seen_as_it_is_wanted():
    x = IMAGES.images[:1].float() / 255
    mask = IMAGES.masks[:1].float()
    image = whole_images(x * mask, mask, seen=[DegradationParams()], wanted=None, size=SIZE)
    assert torch.equal(image.seen, image.wanted)
    assert torch.equal(image.seen_statistics, image.wanted_statistics)


def test_statistics_are_those_that_inference_takes():
    torch.manual_seed(1)
    network = build_network(RestorationConfig(**RESTORATION_SIZES["tiny"]))
    assert isinstance(network, Restorer)
    x, mask = IMAGES.images[:1].float() / 255, IMAGES.masks[:1].float()
    image = whole_images(x * mask, mask, seen=[DegradationParams()], wanted=None, size=SIZE)
    pixels = np.ascontiguousarray((x * mask)[0].permute(1, 2, 0).numpy())
    smooth = torch.from_numpy(continued(pixels, mask[0, 0].numpy().astype(np.uint8)))
    inner = 1 - torch.nn.functional.max_pool2d(1 - mask, 25, stride=1, padding=12)
    sensed = network.sensed(smooth.permute(2, 0, 1)[None], inner)
    found = network.sense.standardised(image.seen_statistics)
    assert torch.allclose(found, sensed.statistics, atol=1e-4)


def test_a_stop_keeps_whole_files_and_a_resume_makes_the_rest(tmp_path: Path):
    count = 20
    run, _ = run_in(tmp_path, stop_after=1)
    assert gather_whole_images(make, tmp_path / "x", count=count, run=run) is None
    assert [p.name for p in (tmp_path / "x").iterdir()] == ["000000.safetensors"]
    made: list[int] = []

    def counted(number: int) -> WholeImages:
        made.append(number)
        return make(number)

    run, _ = run_in(tmp_path, stop_after=1)  # the last file is followed by training
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
