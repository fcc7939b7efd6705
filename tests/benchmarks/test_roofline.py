"""The roofline counts what a stage computes and moves; back ends are compared in pairs."""

import importlib
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RATES = {"gmac_per_second": 1.0, "gb_per_second": 1.0, "gb_per_second_in_cache": 1.0}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("roofline")


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("backends")


@torch.inference_mode()
def test_a_convolution_is_bound_by_its_arithmetic(script):
    x, weight = torch.rand(1, 8, 32, 32), torch.rand(16, 8, 3, 3)
    found = script.roofline(lambda: F.conv2d(x, weight, padding=1), RATES)
    macs = 16 * 8 * 9 * 32 * 32
    assert found["gmac"] == pytest.approx(macs / 1e9)
    assert found["mb"] == pytest.approx((x.nbytes + weight.nbytes + 4 * 16 * 32 * 32) / 1e6)
    assert found["least_ms"] == pytest.approx(1000 * macs / 1e9)
    assert found["share"] == pytest.approx(found["least_ms"] / found["ms"])


@torch.inference_mode()
def test_a_sum_is_bound_by_its_bytes_and_a_view_is_free(script):
    x = torch.rand(1, 4, 16, 16)
    found = script.roofline(lambda: x.permute(0, 2, 3, 1)[0] + 1.0, RATES)
    assert found["gmac"] == 0
    assert found["least_ms"] == pytest.approx(1000 * 2 * x.nbytes / 1e9)


def test_pairs_say_how_much_faster(backends):
    def busy(seconds: float):
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    found = backends.in_turns(lambda: busy(0.01), lambda: busy(0.03), pairs=3)
    assert found["faster"] == pytest.approx(3, rel=0.2)


def test_the_parts_are_those_of_the_network(backends):
    """The wrappers compute what the network computes."""
    network = backends.make("small", "small")
    for part, given in backends.parts(network).values():
        with torch.inference_mode():
            result = part(*given)
        assert result.shape[-2:] == (backends.SIZE, backends.SIZE)
        x = given[0]
        with torch.inference_mode():
            sensed = network.sensed(x, torch.ones_like(x[:, :1]))
            wanted = (
                network.sensor(x, sensed, network.vessels(x)) if len(given) > 1
                else network.vessels(x)
            )  # fmt: skip
        assert torch.allclose(result, wanted, atol=1e-5)
