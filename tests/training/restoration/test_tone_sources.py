"""Images of the tone part: photographs of known cameras alone."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from magenet_batch.models.build import build_network
from magenet_batch.models.restoration.cameras import overlap
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.phantom import make_phantom
from magenet_batch.training.part import PhaseOfRun
from magenet_batch.training.progress import Reporter
from magenet_batch.training.recipes.load import load_recipe
from magenet_batch.training.recipes.schema import RestorationRecipe
from magenet_batch.training.restoration import sources
from magenet_batch.training.restoration.sources import tone_sources
from magenet_batch.training.restoration.whole import WHOLE_FOLDER, WholeImages

WIDE, FLAT = 0.92, 0.75


def photograph(path: Path, seed: int, cut: float, *, size: int = 200) -> None:
    """A retina seen by a camera whose field of view is cut above and below."""
    inside = make_phantom(seed, size=2 * size).pixels[size // 2 :, size // 2 :][:size, :size]
    at = (np.arange(size) + 0.5) * (2 / size) - 1
    across, down = at[None], at[:, None]
    seen = (across**2 + down**2 < 0.97**2) & (np.abs(down) < cut)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.where(seen[..., None], np.maximum(inside, (60, 30, 12)), 0).astype(np.uint8)
    cv2.imwrite(str(path), pixels[..., ::-1])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photographs of one camera, two of another; one of each is held out."""
    root = tmp_path_factory.mktemp("archive")
    for index in range(4):
        photograph(root / "sharp" / f"wide{index}.png", index, WIDE)
    for index in range(2):
        photograph(root / "sharp" / f"flat{index}.png", index, FLAT)
    photograph(root / "held" / "wide.png", 8, WIDE)
    photograph(root / "held" / "flat.png", 9, FLAT)
    photograph(root / "others" / "flat.png", 9, FLAT)
    return root


def recipe(archive: Path, *more: str) -> RestorationRecipe:
    found = load_recipe("smoke", changes=[
        f"data.root={archive}", 'data.clean=["sharp"]', 'data.validation=["held", "others"]',
        "tone.samples=6", "tone.least=3", "validation.images=3", *more,
    ])  # fmt: skip
    assert isinstance(found, RestorationRecipe)
    return found


@pytest.fixture(scope="module")
def network(archive: Path) -> Restorer:
    torch.manual_seed(1)
    made = build_network(recipe(archive).model).eval()
    assert isinstance(made, Restorer)
    return made


def run_in(folder: Path, *, stopped: bool = False) -> PhaseOfRun:
    return PhaseOfRun(folder, "f", 1.0, Reporter(), lambda: stopped)


def in_frames(images: WholeImages, frames: torch.Tensor) -> bool:
    """As they are drawn, edges may move by a part of a pixel."""
    return bool((overlap(images.mask.float(), frames).amax(1) > 0.93).all())


def test_photographs_of_the_known_frame_alone_are_used(
    archive: Path, network: Restorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    drawn: set[str] = set()
    real = sources.draw_photographs

    def noted(rng, photos, *args, **options):
        drawn.update(photos.names)
        return real(rng, photos, *args, **options)

    monkeypatch.setattr(sources, "draw_photographs", noted)
    found = tone_sources(recipe(archive), network, run=run_in(tmp_path))
    assert found is not None
    assert found.images is not None
    assert found.frames.shape == (1, 64, 64)
    assert set(found.frames.unique().tolist()) == {0, 1}
    assert 0.8 < found.frames[0, :, 32].mean() < 1, "cut above and below, but not far"
    names = {Path(name).stem for name in drawn}
    assert names == {"wide", *(f"wide{index}" for index in range(4))}
    assert len(found.images) == 6
    assert in_frames(found.images, found.frames)
    assert set(found.held) == {"held"}, "a folder without a known camera measures nothing"
    assert len(found.held["held"]) == 3
    assert in_frames(found.held["held"], found.frames)


def test_a_second_camera_counts_when_it_may(archive: Path, network: Restorer, tmp_path: Path):
    both = recipe(archive, "tone.least=2", "model.light.cameras=2")
    found = tone_sources(both, network, run=run_in(tmp_path))
    assert found is not None
    assert found.frames.flatten(1).any(1).tolist() == [True, True]
    assert found.frames[0].sum() > found.frames[1].sum(), "the most frequent comes first"
    assert set(found.held) == {"held", "others"}


def test_without_a_camera_that_has_enough_nothing_is_made(
    archive: Path, network: Restorer, tmp_path: Path
):
    found = tone_sources(recipe(archive, "tone.least=5"), network, run=run_in(tmp_path))
    assert found is not None
    assert found.images is None
    assert found.held == {}
    assert not found.frames.any()
    assert not (tmp_path / WHOLE_FOLDER).exists()


def test_a_stop_gives_none_and_a_resume_the_same_images(
    archive: Path, network: Restorer, tmp_path: Path
):
    more = recipe(archive, "tone.samples=18", "data.validation=[]")
    assert tone_sources(more, network, run=run_in(tmp_path / "a", stopped=True)) is None
    resumed, at_once = (
        tone_sources(more, network, run=run_in(tmp_path / name)) for name in ("a", "b")
    )
    assert resumed is not None
    assert at_once is not None
    for name, value in vars(at_once.images).items():
        assert torch.equal(getattr(resumed.images, name), value), name
