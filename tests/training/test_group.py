"""Several processes train as one process with more batches does."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, EXIT_INTERRUPTED, UsageError
from magenet_batch.training.group import Group
from magenet_batch.training.ray_processes import train_in_processes


def test_alone_nothing_is_asked_of_anyone():
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.tensor([1.0, 2.0])
    Group().average_gradients([parameter])
    assert parameter.grad.tolist() == [1.0, 2.0]
    assert Group().leads
    agreed = Group().agree(seconds=3.5, stop=True, device=torch.device("cpu"))
    assert agreed == (3.5, True)


def command(folder: Path, *changes: str) -> list[str]:
    quick = [
        "schedule.steps=3", "structure.steps=2", "validation.every=3", "data.size=64",
        "run.threads=1", "run.precision=fp32", f"run.output={folder}", *changes,
    ]  # fmt: skip
    return ["train", "affine_smoke", *(w for c in quick for w in ("--set", c))]


def train(folder: Path, *changes: str) -> dict[str, torch.Tensor]:
    assert main(command(folder, *changes)) == EXIT_DONE
    return load_file(folder / "affine-smoke.safetensors")


@pytest.mark.slow
@pytest.mark.ray
def test_two_processes_are_one_process_that_accumulates_two_batches(tmp_path: Path):
    threads = torch.get_num_threads()
    one = train(tmp_path / "one", "schedule.accumulate=2")
    torch.set_num_threads(threads)
    two = train(tmp_path / "two", "run.processes=2")
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.allclose(tensor.float(), two[name].float(), atol=2e-3), name
    lines = [json.loads(x) for x in (tmp_path / "two" / "curves.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines if x["group"] == "train"] == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.ray
def test_a_stop_in_the_structure_phase_ends_all_processes(tmp_path: Path):
    at_once = [*command(tmp_path, "run.processes=2"), "--stop-after", "0.0000001"]
    assert main(at_once) == EXIT_INTERRUPTED
    assert (tmp_path / "structure.checkpoint.safetensors").is_file()
    assert not (tmp_path / "structure.safetensors").exists()


@pytest.mark.ray
@pytest.mark.skipif(torch.cuda.is_available(), reason="there are GPUs here")
def test_gpus_that_are_not_there_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match=r"run\.processes = 2, but 0 GPUs"):
        train_in_processes(print, processes=2, gpus=True, storage=tmp_path)
