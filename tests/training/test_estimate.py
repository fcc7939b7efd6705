"""What is said of a run before it: images counted, time estimated, what is missing named."""

from pathlib import Path

import cv2
import pytest

from magenet_batch.errors import TrainingError, UsageError
from magenet_batch.phantom import make_phantom
from magenet_batch.training.estimate import outlook, phases_of
from magenet_batch.training.phases import Phase
from magenet_batch.training.recipes.load import load_recipe


def archive(root: Path, **counts: int) -> None:
    """Folders of images; `vessels` has masks for all but one of them."""
    for folder, count in counts.items():
        where = root / folder / ("images" if folder == "vessels" else "")
        where.mkdir(parents=True)
        for seed in range(count):
            cv2.imwrite(str(where / f"{seed}.png"), make_phantom(seed, size=64).pixels)
        if folder == "vessels":
            (root / folder / "masks").mkdir()
            for seed in range(count - 1):
                (root / folder / "masks" / f"{seed}.png").write_bytes(b"")


def changes(root: Path, *more: str) -> list[str]:
    return [
        f"data.root={root}", "data.clean=sharp", "data.real=hazy", "data.vessels=vessels",
        "data.validation=held", f"run.output={root / 'run'}", *more,
    ]  # fmt: skip


def test_images_are_counted_as_training_would_use_them(tmp_path: Path):
    archive(tmp_path, sharp=5, hazy=2, vessels=3, held=1)
    recipe = load_recipe("smoke", changes=changes(tmp_path, 'data.exclude=["sharp/3.png"]'))
    lines = [line.split() for line in outlook(recipe).splitlines()]
    assert ["clean", "sharp", "4"] in lines
    assert ["vessels", "vessels", "2"] in lines
    assert ["real", "hazy", "2"] in lines
    assert ["validation", "held", "1"] in lines


def test_time_is_known_where_the_recipe_gives_minutes(tmp_path: Path):
    archive(tmp_path, sharp=1, hazy=1, vessels=2, held=1)
    both = ("sensor.minutes=30", "light.minutes=60")
    said = outlook(load_recipe("smoke", changes=changes(tmp_path, *both)))
    unknown = "structure, moments, sense, spots, whole images, tone"
    assert f"time: unknown for {unknown} (no minutes in the recipe)" in said
    assert "the others: 1 h 31 min at most" in said
    alone = (*both, 'run.parts=["light"]')
    assert "time: 1 h 00 min at most" in outlook(
        load_recipe("smoke", changes=changes(tmp_path, *alone))
    )


def test_every_missing_folder_is_named(tmp_path: Path):
    archive(tmp_path, sharp=1, held=1)
    with pytest.raises(UsageError) as caught:
        outlook(load_recipe("affine_smoke", changes=changes(tmp_path)))
    assert str(tmp_path / "hazy") in str(caught.value)
    assert str(tmp_path / "vessels" / "images") in str(caught.value)
    assert "sharp" not in str(caught.value)
    assert caught.value.exit_code == 2
    gone = changes(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"data are missing: no folder .*gone\. Set"):
        outlook(load_recipe("affine_smoke", changes=gone))


def test_what_the_recipe_does_not_read_may_be_missing(tmp_path: Path):
    archive(tmp_path, sharp=1, held=1)
    without = ("structure.weights=somewhere", "consistency.weight=0.0")
    outlook(load_recipe("affine_smoke", changes=changes(tmp_path, *without)))
    archive(tmp_path, vessels=2)
    alone = 'run.parts=["structure"]'
    outlook(load_recipe("smoke", changes=changes(tmp_path, alone, "data.clean=nowhere")))


def test_no_folder_at_all_is_said(tmp_path: Path):
    with pytest.raises(UsageError, match=r"has no folder for data\.clean"):
        outlook(load_recipe("smoke", changes=["data.clean=[]", f"run.output={tmp_path}"]))


def test_an_archive_s_own_sharpest_images_are_for_whole_networks(tmp_path: Path):
    archive(tmp_path, hazy=8)
    adapt = [f"data.real={tmp_path / 'hazy'}", f"run.output={tmp_path / 'run'}"]
    lines = [line.split() for line in outlook(load_recipe("adapt", changes=adapt)).splitlines()]
    assert ["clean", "sharpest:0.25", "2"] in lines
    other = changes(tmp_path, "data.clean=sharpest:0.25")
    with pytest.raises(UsageError, match="is for 'affine' and 'unet'"):
        outlook(load_recipe("smoke", changes=other))


def test_what_is_done_takes_no_time(tmp_path: Path):
    recipe = load_recipe("smoke", changes=[f"run.output={tmp_path}"])
    assert phases_of(recipe)[0] == Phase("structure", 30)
    (tmp_path / "structure.safetensors").write_bytes(b"")
    (tmp_path / "sense.safetensors").write_bytes(b"")
    (tmp_path / "tone.safetensors").write_bytes(b"")
    left = [p.name for p in phases_of(recipe) if p.share < 1]
    assert left == ["sensor", "spots", "light", "scatter"]


def test_a_damaged_checkpoint_is_said_before_training(tmp_path: Path):
    (tmp_path / "light.checkpoint.safetensors").write_bytes(b"no tensors")
    with pytest.raises(TrainingError, match="cannot be read"):
        phases_of(load_recipe("smoke", changes=[f"run.output={tmp_path}"]))
