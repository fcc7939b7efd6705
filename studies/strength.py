"""How far the sensor stage's changes should go: docs/method.md.

    python studies/strength.py [--weights small] [--data ../shared/data] [--images 24]

Measures `sensor.strength` and `sensor.unsure` on photographs that the network was trained on, so
that those of the gates stay unseen: the gap of an independent segmenter closed on HRF's training
photographs, and PSNR and SSIM over doing nothing on those of IDRiD, for blur, noise and compression
alone and for all kinds together. Writes studies/results/strength_NAME.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from magenet_batch.evaluation.run import Evaluation
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.weights import load_weights

RESULTS = Path(__file__).parent / "results"
STRENGTHS = (
    (1.0, 1.0), (1.1, 1.1), (1.2, 1.2), (1.3, 1.3), (1.4, 1.4),
    (1.2, 1.5), (1.1, 1.8), (1.2, 1.8), (1.0, 2.0), (1.15, 2.0),
)  # fmt: skip
"""Everywhere, and where the structure module is least sure."""
VESSELS, PAIRS = "hrf/train-vessels", "idrid/train_clean"
ALONE = ("evaluation:blur", "evaluation:noise", "evaluation:jpeg", "mild")


def restorer(weights: str, strength: float, unsure: float) -> Enhancer:
    """The weights with other strengths."""
    network, info = load_weights(weights)
    assert isinstance(network, Restorer)
    assert network.sensor is not None
    network.sensor.strength, network.sensor.unsure = strength, unsure
    return Enhancer(network, info, device=torch.device("cpu"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="small")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--images", type=int, default=24)
    told = parser.parse_args()
    torch.set_num_threads(1)
    name = load_weights(told.weights)[1].name
    methods = {"identity": lambda pixels, _: pixels}
    for strength, unsure in STRENGTHS:
        one = restorer(told.weights, strength, unsure)
        methods[f"{strength}, {unsure}"] = lambda pixels, fov, one=one: (
            one.enhance(pixels, fov).pixels
        )
    run = Evaluation(methods, seed=11, images=told.images, size=512, say=lambda text: None)
    run.vessels(told.data / VESSELS, ["evaluation", "mild"])
    run.synthetic(told.data / PAIRS, ALONE)

    def mean(method: str, **where: str) -> float:
        return float(np.mean(list(run.table.values(method=method, **where).values())))

    rows = []
    for strength, unsure in STRENGTHS:
        row: dict[str, float] = {"strength": strength, "unsure": unsure}
        method = f"{strength}, {unsure}"
        for preset in ("evaluation", "mild"):
            for measure in ("iou", "auc"):
                where = {"part": "vessels", "preset": preset, "measure": measure}
                nothing = mean("identity", **where)
                gap = mean("clean ceiling", **where) - nothing
                row[f"{preset} {measure}"] = (mean(method, **where) - nothing) / gap
        for preset in ALONE:
            for measure in ("psnr", "ssim"):
                where = {"part": "synthetic", "preset": preset, "measure": measure}
                gained = mean(method, **where) - mean("identity", **where)
                row[f"{preset.split(':')[-1]} {measure} gained"] = gained
        rows.append(row)
    print(" | ".join(rows[0]))
    for row in rows:
        print(" | ".join(f"{value:.4f}" for value in row.values()))
    found = {"weights": name, "images": told.images, "rows": rows}
    (RESULTS / f"strength_{name}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
