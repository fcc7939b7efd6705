"""The metrics against scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from magenet_batch.quality.full_reference import ms_ssim, psnr, similarity_maps, ssim, ssim_map


def pair(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    a = rng.random((2, 3, 48, 40))
    b = np.clip(a + rng.normal(0, 0.1, a.shape), 0, 1)
    return torch.from_numpy(a), torch.from_numpy(b)


def test_psnr_is_per_image():
    a, b = pair()
    got = psnr(preds=a, target=b, mask=torch.ones(2, 1, 48, 40))
    for i in range(2):
        assert float(got[i]) == pytest.approx(
            peak_signal_noise_ratio(b[i].numpy(), a[i].numpy(), data_range=1), abs=1e-9
        )


def test_psnr_counts_only_the_mask():
    a, b = pair()
    mask = torch.zeros(2, 1, 48, 40)
    mask[..., 10:30, 10:30] = 1
    inside = psnr(
        preds=a[..., 10:30, 10:30], target=b[..., 10:30, 10:30], mask=torch.ones(2, 1, 20, 20)
    )
    assert torch.allclose(psnr(preds=a, target=b, mask=mask), inside)


def test_ssim_is_that_of_scikit_image():
    a, b = pair()
    got = ssim_map(preds=a, target=b)
    for i in range(2):
        _, full = structural_similarity(
            a[i].numpy(), b[i].numpy(), channel_axis=0, data_range=1, gaussian_weights=True,
            sigma=1.5, use_sample_covariance=False, full=True,
        )  # fmt: skip
        inner = (slice(None), slice(5, -5), slice(5, -5))
        assert np.allclose(got[i].numpy()[inner], full[inner], atol=1e-6)


def test_equal_images_have_ssim_one_and_infinite_psnr():
    a, _ = pair()
    mask = torch.ones(2, 1, 48, 40)
    assert torch.allclose(ssim(preds=a, target=a, mask=mask), torch.ones(2, dtype=a.dtype))
    assert torch.isinf(psnr(preds=a, target=a, mask=mask)).all()


def test_ms_ssim_is_its_formula():
    """Rebuilt from scikit-image's maps: five scales, contrast above, light at the last only."""
    rng = np.random.default_rng(1)
    a = rng.random((1, 1, 192, 192))
    b = np.clip(a + rng.normal(0, 0.1, a.shape), 0, 1)
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    expected = 1.0
    p, t = x, y
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        light, contrast = similarity_maps(preds=p, target=t)
        _, full = structural_similarity(
            p[0, 0].numpy(), t[0, 0].numpy(), data_range=1, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, full=True,
        )  # fmt: skip
        if min(p.shape[-2:]) > 11:
            inner = (slice(5, -5), slice(5, -5))
            assert np.allclose((light * contrast)[0, 0].numpy()[inner], full[inner], atol=1e-6)
        expected *= float((light * contrast if scale == 4 else contrast).mean()) ** weight
        p, t = (torch.nn.functional.avg_pool2d(z, 2) for z in (p, t))
    mask = torch.ones(1, 1, 192, 192, dtype=torch.float64)
    assert float(ms_ssim(preds=x, target=y, mask=mask)) == pytest.approx(expected, abs=1e-6)
    assert float(ms_ssim(preds=x, target=x, mask=mask)) == pytest.approx(1.0)
