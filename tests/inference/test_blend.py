"""The share of the network in what is written: none, half, all; and a job holds on to it."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from magenet_batch.cli.main import main
from magenet_batch.imaging.fov import find_fov
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.jobs.options import JobOptions
from magenet_batch.phantom import make_phantom


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_none_half_and_all_of_the_network(weights: str, depth: type):
    pixels = make_phantom(4, size=256).pixels.astype(depth) * (257 if depth is np.uint16 else 1)
    fov = find_fov(pixels)
    assert fov is not None
    none, half, every = (
        Enhancer.load(weights, device="cpu", blend=share).enhance(pixels, fov).pixels
        for share in (0.0, 0.5, 1.0)
    )
    usual = Enhancer.load(weights, device="cpu").enhance(pixels, fov).pixels
    assert np.array_equal(none, pixels)
    assert np.array_equal(every, usual)
    assert np.abs(every.astype(int) - pixels).max() > 10, "the network does something"
    middle = (pixels.astype(np.float64) + every) / 2
    assert np.abs(half - middle).max() <= 1


def identity(**options: object) -> dict[str, object]:
    return JobOptions(archive=("a",), **options).identity("00")  # type: ignore[arg-type]


def test_another_share_is_another_job():
    assert identity() == identity(blend=1.0)
    changed = {k for k, v in identity(blend=0.5).items() if identity()[k] != v}
    assert changed == {"blend"}


@pytest.mark.parametrize("share", ["-0.1", "1.1", "nan", "half"])
def test_a_share_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], share: str
):
    out = tmp_path / "out"
    (tmp_path / "a").mkdir()
    assert main(["enhance", str(tmp_path / "a"), "-o", str(out), "--blend", share]) == 2
    said = capsys.readouterr().err
    assert "blend" in said and "Traceback" not in said
    assert not out.exists()
    with pytest.raises(ValidationError, match="blend"):
        JobOptions(archive=("a",), blend=share)  # type: ignore[arg-type]
