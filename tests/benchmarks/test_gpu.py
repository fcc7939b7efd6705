"""The GPU benchmark on a CPU: it computes what the network computes, and tells what went wrong."""

import argparse
import importlib
import time
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CPU = torch.device("cpu")
SIDE = 96


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("gpu")


@pytest.fixture
def network(script):
    return script.make("tiny", None)


@pytest.fixture
def told() -> argparse.Namespace:
    return argparse.Namespace(device="cpu", native=SIDE, sizes=[64])


@torch.inference_mode()
def test_a_variant_computes_what_the_network_computes(script, network):
    x, mask = script.photographs(64, count=2), torch.ones(2, 1, 64, 64)
    ours, wanted = script.restored(network, x, mask), network(x, mask)
    assert script.apart(ours, wanted)["most"] < 0.01
    assert script.apart(ours, x)["mean"] > 1, "its stages do nothing"


@torch.inference_mode()
def test_a_photograph_at_its_own_size_is_restored_alike(script, network):
    pixels = torch.from_numpy(script.photograph(SIDE))
    mask = torch.ones(1, 1, SIDE, SIDE)
    ours = script.restored_native(network, pixels, mask, factor=1)
    wanted = network(pixels.permute(2, 0, 1)[None].float() / 255, mask)
    assert ours.dtype == torch.uint8
    assert (ours.float() - 255 * wanted[0].permute(1, 2, 0).clamp(0, 1)).abs().max() <= 0.51


def test_every_part_leaves_its_numbers(script, network, told):
    networks = {"base": network, "small": network}
    later = time.perf_counter() + 60
    found = script.native(networks, CPU, told, time.perf_counter())
    assert found["base, stages"].keys() >= {"vessels", "bands", "sense", "sensor", "light"}
    cases = [("small", 64, batch, script.VARIANTS[0]) for batch in (1, 2)]
    rows = script.squares(networks, CPU, later, cases)
    assert len(rows) == 2
    for row in rows.values():
        assert row["off"]["most"] < 0.01 and row["images_per_second"] > 0
    moved = script.copies(network, CPU, SIDE, time.perf_counter())
    assert moved["network beside plain copies"]["images"] == 1


def test_the_job_is_measured_from_jpeg_to_jpeg(script, network, told):
    found = script.jobs(
        {"base": network, "small": network}, CPU, told, time.perf_counter()
    )  # its time is over: only the first case is measured
    assert set(found) == {"small, 96 px, steps (ms)", "small, 96 px, threads 1"}
    assert found["small, 96 px, threads 1"]["images_per_second"] > 0


def test_what_cannot_run_is_a_row_that_says_why(script):
    def broken() -> torch.Tensor:
        raise RuntimeError("no such kernel")

    row = script.measured(script.VARIANTS[0], CPU, broken, seconds=1.0, wanted=torch.zeros(1))
    assert row == {"error": "RuntimeError: no such kernel"}


def test_differences_are_in_levels_of_a_byte_and_clipped(script):
    one = torch.tensor([0.0, 0.5, 1.2])
    assert script.apart(one + torch.tensor([0.0, 2 / 255, 0.3]), one)["most"] == pytest.approx(2)
    whole = torch.tensor([3, 200], dtype=torch.uint8)
    assert script.apart(whole, torch.tensor([4, 200], dtype=torch.uint8)) == {
        "most": 1.0, "mean": 0.5,
    }  # fmt: skip
