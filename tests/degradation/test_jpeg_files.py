"""JPEG through an encoder: held against Pillow, which writes and reads files on its own."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from magenet_batch.degradation import DegradationParams
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.kinds.jpeg import CODERS
from magenet_batch.phantom import make_phantom

FILES = [coder for coder in CODERS if coder != "dct"]


def compressed(pixels: np.ndarray, *, quality: int, coder: str) -> np.ndarray:
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    params = DegradationParams(jpeg_quality=quality, jpeg_coder=coder)
    got = apply_degradation(image, [params], mask_B1HW=torch.ones(1, 1, *pixels.shape[:2]))
    return got[0].permute(1, 2, 0).numpy() * 255


def chroma(pixels: np.ndarray) -> np.ndarray:
    """R - Y and B - Y."""
    return pixels[..., [0, 2]] - (pixels @ np.array([0.299, 0.587, 0.114]))[..., None]


@pytest.mark.parametrize("coder", FILES)
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_a_file_is_what_another_writer_makes_of_it(coder: str, quality: int):
    pixels = make_phantom(5, size=203).pixels[:171]
    buffer = io.BytesIO()
    subsampling = FILES.index(coder)
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    other = np.asarray(Image.open(buffer).convert("RGB")).astype(np.float32)
    got = compressed(pixels, quality=quality, coder=coder)
    # Two builds of the library may round differently.
    assert np.abs(got - other).max() <= 3
    assert np.abs(got - other).mean() < 0.1


def test_subsampling_costs_chroma_and_not_light():
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    by_coder = {coder: compressed(fine, quality=98, coder=coder) for coder in CODERS}
    lost = {coder: np.abs(chroma(got) - chroma(fine)).mean() for coder, got in by_coder.items()}
    assert lost["libjpeg-444"] < 0.2 * lost["libjpeg-422"] < 0.2 * lost["libjpeg-420"]
    assert lost["dct"] == pytest.approx(lost["libjpeg-444"], abs=1)


def test_files_and_formulas_share_a_batch():
    image = torch.from_numpy(make_phantom(5, size=64).pixels).permute(2, 0, 1)[None].float() / 255
    params = [DegradationParams(jpeg_quality=40, jpeg_coder=coder) for coder in CODERS]
    params.append(DegradationParams())
    mask = torch.ones(5, 1, 64, 64)
    batch = apply_degradation(image.repeat(5, 1, 1, 1), params, mask_B1HW=mask)
    for got, p in zip(batch, params, strict=True):
        alone = apply_degradation(image, [p], mask_B1HW=mask[:1])
        torch.testing.assert_close(got[None], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"jpeg_coder": "libjpeg"}, "choose one of dct, libjpeg-444"),
        (
            {"jpeg_quality": 101},
            "jpeg_quality of a degradation is 101; it must be a number of 0 .. 100",
        ),
        ({"jpeg_quality": "90"}, "jpeg_quality"),
    ],
)
def test_values_that_cannot_be_are_refused(fields: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        DegradationParams(**fields)  # type: ignore[arg-type]
