"""Choose device and precision; never falls back silently to something else."""

from __future__ import annotations

import torch

from magenet_batch.errors import UsageError


def pick_device(wanted: str) -> torch.device:
    """Choose a device by name.

    Args:
        wanted: `auto`, `cpu`, `cuda` or `cuda:N`; `auto` is the GPU if there is one.

    Raises:
        UsageError: the device does not exist.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise UsageError(
            f"'{wanted}' is not a device; choose from auto, cpu, cuda, cuda:N"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"'{wanted}' is not available: {torch.cuda.device_count()} GPUs are visible here; "
            "use the CPU with --gpus 0 or device = 'cpu', or see `magenet doctor`"
        )
    return device


def bf16_is_fast(device: torch.device) -> bool:
    """Whether the device computes bf16 in hardware; elsewhere bf16 is slower than fp32."""
    if device.type == "cuda":
        result: bool = torch.cuda.is_bf16_supported(including_emulation=False)
        return result
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def pick_autocast(precision: str, device: torch.device) -> bool:
    """Whether to use bf16 autocast.

    Args:
        precision: `auto`, `fp32` or `bf16`.
        device: device of the computation.
    """
    return bf16_is_fast(device) if precision == "auto" else precision == "bf16"
