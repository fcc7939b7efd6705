"""Convert arrays to tensors and back, and make the copies that networks see."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from magenet_batch.inference.tiles import Square
from magenet_batch.models.magenet import ALIGNMENT


def as_tensor(
    pixels: np.ndarray, device: torch.device, *, layout: torch.memory_format = torch.channels_last
) -> torch.Tensor:
    """Convert integers (H, W, 3) to a tensor (1, 3, H, W), 0..1, on a device.

    The integers travel to the device, in a quarter of the bytes of the result.
    """
    full = float(np.iinfo(pixels.dtype).max)
    if pixels.dtype == np.uint16:
        pixels = pixels.astype(np.int32)
    x = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    return x.permute(2, 0, 1)[None].to(torch.float32, memory_format=layout).div_(full)


def as_pixels(x_13HW: torch.Tensor, dtype: np.dtype) -> np.ndarray:
    """Round a tensor, 0..1, to integers (H, W, 3) over their range, on the tensor's device."""
    whole = (x_13HW * int(np.iinfo(dtype).max)).round_()[0].permute(1, 2, 0)
    travels = whole.to(torch.uint8 if dtype == np.uint8 else torch.int32)
    return travels.cpu().numpy().astype(dtype, copy=False)


def float_tensor(pixels_HW3: np.ndarray, device: torch.device) -> torch.Tensor:
    """Convert float32 pixels (H, W, 3) to a tensor (1, 3, H, W) on a device."""
    there = torch.from_numpy(pixels_HW3).to(device)
    return there.permute(2, 0, 1)[None].contiguous()


def plane(values_HW: np.ndarray, device: torch.device) -> torch.Tensor:
    """Convert an array (H, W) to a float32 tensor (1, 1, H, W) on a device."""
    return torch.from_numpy(values_HW).to(device, torch.float32)[None, None]


def reduced(
    pixels: np.ndarray, mask: np.ndarray, square: Square, *, size: int, device: torch.device
) -> torch.Tensor:
    """Resize the square to at most `size`: (1, 3, S, S), black outside the field of view."""
    height, width = pixels.shape[:2]
    rows, columns, to_rows, to_columns = square.overlap(square.whole(), height, width)
    cut = np.zeros((square.side, square.side, 3), pixels.dtype)
    seen = np.ascontiguousarray(mask[rows, columns]).view(np.uint8)
    cv2.copyTo(pixels[rows, columns], seen, cut[to_rows, to_columns])  # without another copy
    size = min(size, -(-square.side // ALIGNMENT) * ALIGNMENT)
    how = cv2.INTER_AREA if size < square.side else cv2.INTER_LINEAR
    return as_tensor(cv2.resize(cut, (size, size), interpolation=how), device)


def lit(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Set the pixels outside the mask to black."""
    return cv2.copyTo(np.ascontiguousarray(pixels), np.ascontiguousarray(mask).view(np.uint8))


def mixed(pixels: np.ndarray, enhanced: torch.Tensor, share: torch.Tensor) -> np.ndarray:
    """Blend the original with the enhanced image, (h, w, 3) 0..1, by a share (h, w, 1)."""
    full = int(np.iinfo(pixels.dtype).max)
    old = torch.from_numpy(pixels.astype(np.float32))
    result = torch.lerp(old, enhanced * full, share).round_()
    if pixels.dtype == np.uint8:
        return result.to(torch.uint8).numpy()
    return result.numpy().astype(pixels.dtype)


def feathered(mask: np.ndarray) -> np.ndarray:
    """Turn the mask into weights (H, W) float32 that fall to 0 at its edge, never outside it.

    They fall within two pixels: a wider transition would leave a bright ring of the original's
    haze.
    """
    kernel = np.ones((3, 3), np.uint8)
    inner = cv2.erode(mask.astype(np.uint8) * 255, kernel, borderValue=255)
    result: np.ndarray = (cv2.blur(inner, (3, 3)) * mask).astype(np.float32) / 255
    return result
