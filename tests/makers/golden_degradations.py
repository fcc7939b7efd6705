"""Pixels and records that presets gave when they were published; they must never change.

    python tests/makers/golden_degradations.py

writes tests/degradation/golden.npz and golden.json anew: only for a preset that is added.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from magenet_batch.degradation import DegradationParams, preset, sample_degradation
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.severity import severity

FOLDER = Path(__file__).parent.parent / "degradation"
KINDS = ("colour", "gradient", "halo", "hole", "blur", "spots", "haze", "yellow", "noise", "jpeg")
PRESETS = ("evaluation", "mild", "train", "detail", "strong_view", "weak_view")
NAMES = (*PRESETS, *(f"evaluation:{kind}" for kind in KINDS))
SEEDS = (1, 2, 3, 4)
HEIGHT, WIDTH = 150, 204


def picture() -> tuple[torch.Tensor, torch.Tensor]:
    """An image with edges, waves and saturated parts, and a disc as its field of view."""
    rows = np.linspace(0, 1, HEIGHT)[:, None, None]
    columns = np.linspace(0, 1, WIDTH)[None, :, None]
    colour = np.array([0.75, 0.45, 0.2])
    waves = np.sin(40 * columns + np.array([0, 1, 2])) * np.cos(31 * rows * columns + 1)
    edges = np.where((np.floor(13 * rows) + np.floor(9 * columns)) % 2 == 0, 0.25, -0.05)
    image = np.clip(colour + 0.15 * waves + edges, 0, 1).astype(np.float32)
    inside = (rows - 0.5) ** 2 + ((columns - 0.5) * WIDTH / HEIGHT) ** 2 < 0.48**2
    mask = inside.astype(np.float32)[..., 0]
    return torch.from_numpy(image).permute(2, 0, 1)[None], torch.from_numpy(mask)[None, None]


def draw(name: str, seed: int) -> DegradationParams:
    return sample_degradation(np.random.default_rng([20231125, seed]), preset(name))


def sampled_pixels(params: DegradationParams) -> np.ndarray:
    """The mean of every channel, then 80 pixels of the degraded picture: (81, 3)."""
    image, mask = picture()
    degraded = apply_degradation(image, [params], mask_B1HW=mask)[0].numpy()
    at = np.random.default_rng(5).integers(0, HEIGHT * WIDTH, 80)
    mean = degraded.astype(np.float64).mean((1, 2))
    return np.vstack([mean, degraded.reshape(3, -1)[:, at].T]).astype(np.float32)


def main() -> None:
    drawn = {f"{name}/{seed}": draw(name, seed) for name in NAMES for seed in SEEDS}
    records = {
        key: {"severity": severity(params), "params": json.loads(params.to_record())}
        for key, params in drawn.items()
    }
    (FOLDER / "golden.json").write_text(json.dumps(records, indent=0) + "\n", encoding="utf-8")
    np.savez_compressed(
        FOLDER / "golden.npz", **{key: sampled_pixels(params) for key, params in drawn.items()}
    )


if __name__ == "__main__":
    main()
