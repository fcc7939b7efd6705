"""A sensor stage is narrowed without loss where nothing is lost."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from magenet_batch.models.restoration.bands import BANDS, detail_bands
from magenet_batch.models.restoration.config import SensorConfig
from magenet_batch.models.restoration.sense import Sensed
from magenet_batch.models.restoration.sensor import SensorStage

TOOLS = Path(__file__).parents[2] / "tools"
WIDTHS = (8, 12, 16)
TOLD = 5


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("narrow_sensor")


def stage(**sizes: int) -> SensorStage:
    torch.manual_seed(2)
    made = SensorStage(SensorConfig(widths=WIDTHS, **sizes), told=TOLD)
    with torch.no_grad():
        for parameter in made.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    return made.requires_grad_(False).eval()


class FewAnswers:
    """Two random pictures instead of crops."""

    def __init__(self, wide: SensorStage) -> None:
        self.wide = wide

    def told(self, crops: SimpleNamespace) -> tuple[dict[str, object], torch.Tensor]:
        x = picture(crops.seed)
        rest = [torch.zeros(1)] * 4
        sensed = Sensed(torch.eye(3).expand(1, BANDS, 3, 3), torch.full((1, TOLD), 0.5), *rest)
        given = {
            "x_B3HW": x, "sensed": sensed, "vessels_B1HW": x[:, :1], "bands": detail_bands(x)
        }  # fmt: skip
        return given, self.wide(**given)


def picture(seed: int) -> torch.Tensor:
    return torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(seed))


CROPS = [SimpleNamespace(seed=seed, seen=picture(seed)) for seed in range(2)]


def narrowed(tool, wide: SensorStage, *, hidden: int, summary: int) -> tuple[SensorStage, list]:
    answers = FewAnswers(wide)
    narrow = stage(hidden=hidden, summary=summary)
    own = narrow.state_dict()
    taken = {k: v for k, v in wide.state_dict().items() if k in own and v.shape == own[k].shape}
    narrow.load_state_dict(own | taken)
    kept = [tool.split_heads(answers, narrow, CROPS)]
    for name in ("encoders", "decoders"):
        old, new = getattr(wide, name)[0], getattr(narrow, name)[0]
        kept.append(tool.prune(answers, old, new, CROPS))
    return narrow, kept


def largest_difference(wide: SensorStage, narrow: SensorStage) -> float:
    answers = FewAnswers(wide)
    given, wanted = answers.told(SimpleNamespace(seed=9))
    return float((narrow(**given) - wanted).abs().max())


def test_nothing_is_lost_at_the_full_width(tool):
    wide = stage()
    narrow, kept = narrowed(tool, wide, hidden=WIDTHS[0], summary=52)
    assert kept == pytest.approx([1, 1, 1], abs=1e-4)
    assert largest_difference(wide, narrow) < 2e-3


def test_a_channel_that_says_what_another_says_goes_first(tool):
    wide = stage()
    for block in (wide.encoders[0], wide.decoders[0]):
        for tensor in (block.first.weight, block.first.bias):
            tensor[5] = tensor[2]
        for half in (0, WIDTHS[0]):
            for tensor in (block.tell.weight, block.tell.bias):
                tensor[half + 5] = tensor[half + 2]
    narrow, kept = narrowed(tool, wide, hidden=WIDTHS[0] - 1, summary=52)
    assert kept == pytest.approx([1, 1, 1], abs=1e-4)
    assert largest_difference(wide, narrow) < 2e-3


def test_what_is_lost_is_told(tool):
    wide = stage()
    narrow, kept = narrowed(tool, wide, hidden=2, summary=2)
    assert all(0 < share < 0.99 for share in kept)
    assert largest_difference(wide, narrow) > 0.01


def test_one_area_that_fades_counts_more_than_as_much_error_everywhere(tool):
    mask = torch.ones(2, 1, 64, 64)
    difference = torch.full((2, 3, 64, 64), 0.01)
    difference[1] = 0
    difference[1, :, 20:28, 20:28] = 0.08  # the same mean square
    assert difference[0].square().mean() == pytest.approx(float(difference[1].square().mean()))
    spread, at_one_place = tool.worst_areas(difference, mask)
    assert at_one_place > 4 * spread


def test_sharpening_raises_edges_in_eight_bits_and_leaves_surfaces(tool):
    x = torch.full((4, 3, 48, 48), 0.4)
    x[..., 24:] = 0.6
    y = tool.sharpened(x, np.random.default_rng(1))
    assert y.shape == x.shape and torch.equal((y * 255).round() / 255, y)
    assert torch.allclose(y[..., :12], x[..., :12], atol=0.5 / 255)
    steps = y[..., 24] - y[..., 23]
    assert (steps[:, 0, 0] > 0.2).all() and len(set(steps[:, 0, 0].tolist())) == 4
