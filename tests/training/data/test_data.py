"""Images in memory and their variations."""

import math

import cv2
import numpy as np
import pytest
import torch

from magenet_batch.errors import TrainingError
from magenet_batch.phantom import make_phantom
from magenet_batch.randomness import generator
from magenet_batch.training.data.augment import AugmentParams, recolour, sample_augmentation, warp
from magenet_batch.training.data.config import AugmentConfig, DataConfig
from magenet_batch.training.data.images import load_training_images


def test_folders_become_squares_around_the_field_of_view(tmp_path):
    folder = tmp_path / "clean"
    folder.mkdir()
    for seed in range(3):
        pixels = make_phantom(seed, size=200).pixels
        cv2.imwrite(str(folder / f"{seed}.png"), pixels[..., ::-1])
    config = DataConfig(root=str(tmp_path), size=96, exclude=("clean/1.png",))
    photos = load_training_images(config, ["clean"])
    assert photos.names == ("clean/0.png", "clean/2.png")
    assert photos.images.shape == (2, 3, 96, 96)
    assert photos.images.dtype == torch.uint8
    lit = photos.masks.float().mean((1, 2, 3))
    assert all(0.5 < share < math.pi / 4 + 0.02 for share in lit)
    near = torch.nn.functional.max_pool2d(photos.masks.float(), 3, stride=1, padding=1)
    assert not (photos.images * (1 - near)).any()


def test_vessels_come_with_their_images(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / "set" / name).mkdir(parents=True)
    phantom = make_phantom(0, size=200)
    cv2.imwrite(str(tmp_path / "set/images/a.png"), phantom.pixels[..., ::-1])
    cv2.imwrite(str(tmp_path / "set/masks/a.png"), (phantom.vessels > 0.5).astype(np.uint8) * 255)
    cv2.imwrite(str(tmp_path / "set/images/unlabelled.png"), phantom.pixels[..., ::-1])
    photos = load_training_images(
        DataConfig(root=str(tmp_path), size=128), ["set"], with_vessels=True
    )
    assert photos.names == ("set/a.png",)
    assert photos.vessels is not None
    assert 0.02 < float(photos.vessels.float().mean()) < 0.25


@pytest.mark.parametrize(
    ("folders", "words"),
    [(["missing"], "no folder"), (["phantom:x"], "phantom:8"), ([], "has no folder")],
)
def test_missing_data_is_said_clearly(tmp_path, folders, words):
    with pytest.raises(TrainingError, match=words):
        load_training_images(DataConfig(root=str(tmp_path)), folders)


def test_phantoms_from_another_seed_are_other_images():
    config = DataConfig(size=64)
    one, two = (load_training_images(config, [f"phantom:2@{first}"]) for first in (0, 2))
    assert not torch.equal(one.images, two.images)
    assert torch.equal(load_training_images(config, ["phantom:2"]).images, one.images)


def test_no_variation_is_the_image_itself():
    x = torch.rand(2, 3, 32, 32)
    nothing = [AugmentParams(), AugmentParams()]
    assert torch.allclose(warp(x, nothing, size=32), x, atol=1e-5)
    assert torch.allclose(recolour(x, nothing), x, atol=1e-5)


def test_a_quarter_turn_and_a_mirror_are_exact():
    x = torch.rand(1, 3, 32, 32)
    turned = warp(x, [AugmentParams(angle=math.pi / 2)], size=32)
    assert torch.allclose(turned, torch.rot90(x, 1, (2, 3)), atol=1e-4)
    mirrored = warp(x, [AugmentParams(mirrored=True)], size=32)
    assert torch.allclose(mirrored, x.flip(3), atol=1e-5)


def test_colours_vary_as_they_say():
    x = torch.rand(1, 3, 8, 8) * 0.5
    gained = recolour(x, [AugmentParams(gain=(1.2, 1.0, 0.8))])
    assert torch.allclose(gained, x * torch.tensor([1.2, 1.0, 0.8]).view(1, 3, 1, 1), atol=1e-5)
    grey = recolour(x, [AugmentParams(saturation=0.0)])
    assert torch.allclose(grey, x.mean(1, keepdim=True).expand_as(x), atol=1e-6)


def test_variations_stay_in_their_ranges_and_repeat_with_their_seed():
    config = AugmentConfig(colour_share=1.0)
    drawn = [sample_augmentation(generator(0, "test", i), config) for i in range(200)]
    again = [sample_augmentation(generator(0, "test", i), config) for i in range(200)]
    assert drawn == again
    assert all(config.zoom[0] <= p.zoom <= config.zoom[1] for p in drawn)
    assert all(1 / 1.12 - 1e-9 <= g <= 1.12 + 1e-9 for p in drawn for g in p.gain)
    plain = sample_augmentation(generator(0, "test", 0), AugmentConfig(colour_share=0.0))
    assert plain.gain == (1.0, 1.0, 1.0)


def archive(folder):
    """Three images in subfolders, the middle one blurred, and two that are no fundus."""
    (folder / "site" / "deep").mkdir(parents=True)
    for seed, blur in enumerate((0, 6, 2)):
        pixels = make_phantom(seed, size=256).pixels
        if blur:
            pixels = cv2.GaussianBlur(pixels, (0, 0), blur)
        where = folder / "site" / ("deep" if seed else "")
        cv2.imwrite(str(where / f"{seed}.png"), pixels[..., ::-1])
    (folder / "broken.jpg").write_bytes(b"no image")
    cv2.imwrite(str(folder / "black.png"), np.zeros((64, 64, 3), np.uint8))
    return folder


def test_an_archive_that_nobody_has_looked_through_loses_only_what_is_bad(tmp_path):
    config = DataConfig(root=".", real=(str(archive(tmp_path)),), size=128)
    photos = load_training_images(config, config.real, skip_bad=True)
    assert len(photos) == 3
    assert len(photos.skipped) == 2
    assert all("broken.jpg" in said or "black.png" in said for said in photos.skipped)
    with pytest.raises(TrainingError, match="exclude list"):
        load_training_images(config.model_copy(update={"exclude": (f"{tmp_path}/broken.jpg",)}),
                      config.real)  # fmt: skip


def test_the_sharpest_share_of_an_archive_can_be_ground_truth(tmp_path):
    config = DataConfig(root=".", real=(str(archive(tmp_path)),), size=128)
    chosen = load_training_images(config, ["sharpest:0.34"])
    assert [name.rpartition("/")[2] for name in chosen.names] == ["0.png"]
    both = load_training_images(config, ["sharpest:0.67"])
    assert [name.rpartition("/")[2] for name in both.names] == ["0.png", "2.png"]
    for word in ("sharpest:2", "sharpest:x"):
        with pytest.raises(TrainingError, match=r"sharpest:0\.25"):
            load_training_images(config, [word])
    with pytest.raises(TrainingError, match=r"data\.real"):
        load_training_images(DataConfig(), ["sharpest:0.5"])


def test_a_limit_takes_images_evenly(tmp_path):
    config = DataConfig(root=str(tmp_path), size=64, limit=2)
    for seed in range(4):
        cv2.imwrite(str(tmp_path / f"{seed}.png"), make_phantom(seed, size=96).pixels[..., ::-1])
    assert load_training_images(config, ["."]).names == ("./0.png", "./2.png")
