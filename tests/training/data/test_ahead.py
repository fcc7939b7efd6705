"""Batches that other processes prepare are those that this process would make."""

import os

import cv2
import pytest
import torch

from magenet_batch.errors import TrainingError
from magenet_batch.training.data.ahead import Ahead


def batch(step: int) -> tuple[int, int, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return step, os.getpid(), torch.rand(3, generator=generator)


@pytest.mark.parametrize("loaders", [0, 1, 3])
def test_batches_come_in_order_and_alike(loaders: int):
    ahead = Ahead(batch, loaders=loaders)
    # In sequence, after a jump as of a resume, and again.
    for step in (0, 1, 2, 3, 4, 9, 10, 2):
        at, where, values = ahead.at(step)
        assert at == step
        assert torch.equal(values, batch(step)[2])
        assert (where == os.getpid()) == (loaders == 0)


def test_the_random_numbers_of_the_training_process_do_not_change():
    torch.manual_seed(5)
    wanted = torch.rand(4)
    torch.manual_seed(5)
    Ahead(batch, loaders=1).at(0)
    assert torch.equal(torch.rand(4), wanted)


def test_each_process_has_one_thread_and_this_one_keeps_its_own():
    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    try:
        assert Ahead(lambda _: cv2.getNumThreads(), loaders=1).at(0) == 1
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(before)


def test_an_error_in_a_process_ends_the_training_with_its_message():
    def broken(step: int) -> int:
        raise TrainingError(f"step {step} has no images")

    with pytest.raises(TrainingError, match="step 3 has no images"):
        Ahead(broken, loaders=1).at(3)


def test_closing_ends_the_processes():
    ahead = Ahead(batch, loaders=2)
    at = ahead.at(0)[1]
    ahead.close()
    with pytest.raises(ProcessLookupError):
        os.kill(at, 0)
    assert ahead.at(1)[0] == 1
