"""OpenVINO and ONNX Runtime on one thread, for `backends.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

_CALIBRATION = 2  # images, the given one and its mirror image


def saved(part: torch.nn.Module, given: list[torch.Tensor], path: Path) -> None:
    """Export a part with fixed sizes, in the form of training, whose weights are constant."""
    names = [f"in{index}" for index in range(len(given))]
    with torch.enable_grad():
        torch.onnx.export(
            part, tuple(given), path, dynamo=False, opset_version=17, input_names=names,
            output_names=["out"],
        )  # fmt: skip


def openvino(model: Path, arrays: list[np.ndarray], *, precision: str) -> Callable[[], Any]:
    """A function that runs a model in OpenVINO."""
    import openvino as ov

    settings = {
        "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
    }  # fmt: skip
    request = ov.Core().compile_model(str(model), "CPU", settings).create_infer_request()

    def run() -> torch.Tensor:
        result = request.infer(arrays, share_inputs=True)
        return torch.from_numpy(np.array(next(iter(result.values()))))

    return run


def onnx_runtime(model: Path, arrays: list[np.ndarray]) -> Callable[[], Any]:
    """A function that runs a model in ONNX Runtime."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    named = {f"in{index}": array for index, array in enumerate(arrays)}
    named = {one.name: named[one.name] for one in session.get_inputs()}
    return lambda: torch.from_numpy(session.run(None, named)[0])


def quantised(model: Path, arrays: list[np.ndarray], *, static: bool) -> Path:
    """A copy of a model whose convolutions compute with 8 bits.

    Args:
        model: the model in float32.
        arrays: its inputs, from which static scales are taken.
        static: fixed scales of the features; otherwise they are taken from each image.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantType,
        quantize_dynamic,
        quantize_static,
    )

    result = model.with_name(f"{model.stem}-{'static' if static else 'dynamic'}.onnx")
    if not static:
        quantize_dynamic(model, result, weight_type=QuantType.QUInt8, op_types_to_quantize=["Conv"])
        return result

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self._left: Iterator[dict[str, np.ndarray]] = iter(
                {
                    f"in{i}": a[..., ::step].copy() if a.ndim == 4 and a.shape[-1] > 3 else a
                    for i, a in enumerate(arrays)
                }
                for step in (1, -1)[:_CALIBRATION]
            )

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._left, None)

    quantize_static(
        model, result, Images(), op_types_to_quantize=["Conv"], per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return result
