"""Gains of channels are found and undone."""

import pytest
import torch

from magenet_batch.evaluation.alignment import align_gains
from magenet_batch.quality.full_reference import psnr


def given() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 3, 16, 16, generator=generator)
    mask = torch.zeros(2, 1, 16, 16)
    mask[:, :, 2:14, 2:14] = 1
    return target, mask


def test_a_gain_on_each_channel_is_undone():
    target, mask = given()
    gains = torch.tensor([0.5, 1.3, 2.0]).view(1, 3, 1, 1)
    found = align_gains(preds=target * gains, target=target, mask=mask)
    assert torch.allclose(found, target, atol=1e-6)


def test_no_other_gain_is_nearer_and_none_is_worse_than_before():
    target, mask = given()
    preds = target + 0.2 * torch.rand(target.shape, generator=torch.Generator().manual_seed(1))
    best = align_gains(preds=preds, target=target, mask=mask)
    score = psnr(preds=best, target=target, mask=mask)
    for factor in (0.99, 1.01):
        assert (psnr(preds=best * factor, target=target, mask=mask) < score).all()
    assert (psnr(preds=preds, target=target, mask=mask) < score).all()


def test_what_is_outside_does_not_count():
    target, mask = given()
    preds = torch.where(mask > 0, target * 0.5, torch.full_like(target, 9.0))
    found = align_gains(preds=preds, target=target, mask=mask)
    assert torch.allclose(found * mask, target * mask, atol=1e-6)


def test_black_stays_black():
    target, mask = given()
    found = align_gains(preds=torch.zeros_like(target), target=target, mask=mask)
    assert found.abs().max() == pytest.approx(0)
