"""The GPU benchmark on a CPU: it computes what the network computes, and tells what went wrong."""

import argparse
import contextlib
import importlib
import time
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

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
    assert set(found) == {
        "small, 96 px, steps (ms)",
        "small, 96 px, 1 to read, batches of 1, 1 workers",
    }
    assert found["small, 96 px, 1 to read, batches of 1, 1 workers"]["images_per_second"] > 0


class FromHost(TorchDispatchMode):
    """Lists operations that copy from the host to the device, for which `meta` stands."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        devices = {
            t.device.type
            for t in tree_leaves((args, kwargs, result))
            if isinstance(t, torch.Tensor)
        }
        # `where` makes a tensor on the host of a number, and copies it inside of the operation.
        if {"cpu", "meta"} <= devices or func.name().startswith("aten::where.Scalar"):
            self.found.append(func.name())
        return result


@torch.inference_mode()
def test_a_graph_would_hold_no_copy_from_the_host(script, network, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *how, **more: contextlib.nullcontext())
    device = torch.device("meta")
    placed = script.placed(network, script.VARIANTS[1], device)
    x, mask = (torch.ones(1, channels, 64, 64, device=device) for channels in (3, 1))
    pixels = torch.ones(128, 128, 3, dtype=torch.uint8, device=device)

    def work() -> None:
        script.restored(placed, x, mask)
        script.restored_native(placed, pixels, mask, factor=2)

    work()  # constants that are kept come from the host once, before anything is recorded
    with FromHost() as copies:
        work()
    assert copies.found == []
    with FromHost() as copies:
        torch.where(x > 0, x, 1.0)
        x + torch.ones(3, 64, 64).to(device)
    assert len(copies.found) == 2, "it would be noticed"


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
