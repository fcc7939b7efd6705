"""How much do weights help on images that they never saw? Per degradation, against doing nothing.

    python benchmarks/quality.py --weights small --clean ../shared/data/idrid/val_clean

Every clean image is degraded once per preset with a fixed seed, enhanced, and compared with the
clean one inside the field of view. Beside the network stand doing nothing (`identity`) and CLAHE on
lightness, the usual classical choice. Prints a Markdown table and writes JSON with `-o`.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from magenet_batch import __version__
from magenet_batch.data.batches import generator
from magenet_batch.degradation import KINDS, preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.imaging.read import read_image
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.quality.full_reference import psnr, ssim

SEED = 1
Method = Callable[[np.ndarray, FieldOfView], np.ndarray]


def clahe(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation of L* (Zuiderveld, Graphics Gems IV)."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(lab[..., 0])
    enhanced = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return np.where(fov.mask(*pixels.shape[:2])[..., None], enhanced, pixels)


def load(folder: Path, *, images: int, size: int) -> list[tuple[np.ndarray, FieldOfView]]:
    loaded = []
    for path in sorted(folder.iterdir())[:images]:
        pixels = read_image(path).pixels
        scale = size / max(pixels.shape[:2])
        wanted = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        pixels = cv2.resize(pixels, wanted, interpolation=cv2.INTER_AREA)
        fov = find_fov(pixels)
        if fov is not None:
            loaded.append((pixels, fov))
    return loaded


def compare(preds: np.ndarray, target: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    given = {
        "preds": torch.from_numpy(preds).permute(2, 0, 1)[None].float() / 255,
        "target": torch.from_numpy(target).permute(2, 0, 1)[None].float() / 255,
        "mask": torch.from_numpy(mask)[None, None].float(),
    }
    return float(psnr(**given).clamp(max=60)), float(ssim(**given))


def measure(
    images: list[tuple[np.ndarray, FieldOfView]], name: str, methods: dict[str, Method]
) -> dict[str, list[tuple[float, float]]]:
    """PSNR and SSIM of every method on every image."""
    found: dict[str, list[tuple[float, float]]] = {method: [] for method in methods}
    for index, (clean, fov) in enumerate(images):
        mask = fov.mask(*clean.shape[:2])
        seen = clean
        if name != "clean":
            params = sample_degradation(generator(SEED, name, index), preset(name))
            seen = degrade_pixels(clean, params, mask=mask)
        for method, run in methods.items():
            found[method].append(compare(run(seen, fov), clean, mask))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--weights", default="small")
    parser.add_argument("--clean", type=Path, default=Path("../shared/data/idrid/val_clean"))
    parser.add_argument("--images", type=int, default=62)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--presets", default="evaluation,mild,kinds,clean")
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    if not args.clean.is_dir():
        parser.exit(2, f"there is no folder {args.clean}: give one with --clean\n")
    enhancer = Enhancer.load(args.weights)
    methods: dict[str, Method] = {
        "identity": lambda pixels, fov: pixels,
        "clahe": clahe,
        "magenet": lambda pixels, fov: enhancer.enhance(pixels, fov).pixels,
    }
    names: list[str] = []
    for name in args.presets.split(","):
        names += [f"evaluation:{kind}" for kind in KINDS] if name == "kinds" else [name]
    images = load(args.clean, images=args.images, size=args.size)
    print(f"magenet {__version__}, weights {enhancer.weights_name} {enhancer.weights_hash}, "
          f"{len(images)} images at {args.size} px, torch {torch.__version__}, "
          f"{platform.machine()}\n")  # fmt: skip
    print("| degradation | PSNR identity | PSNR clahe | PSNR magenet | gain (dB) | "
          "SSIM identity | SSIM clahe | SSIM magenet | gap closed |")  # fmt: skip
    print("| --- " * 9 + "|")
    results = {}
    for name in names:
        means = {m: np.mean(v, axis=0) for m, v in measure(images, name, methods).items()}
        (p0, s0), (p1, s1), (p2, s2) = (means[m] for m in methods)
        closed = "" if s0 > 0.9999 else f"{(s2 - s0) / (1 - s0):.2f}"
        print(f"| {name} | {p0:.2f} | {p1:.2f} | {p2:.2f} | {p2 - p0:+.2f} | "
              f"{s0:.4f} | {s1:.4f} | {s2:.4f} | {closed} |", flush=True)  # fmt: skip
        results[name] = {m: {"psnr": float(v[0]), "ssim": float(v[1])} for m, v in means.items()}
    if args.output:
        facts = {"weights": enhancer.weights_hash, "images": len(images), "size": args.size}
        args.output.write_text(json.dumps({**facts, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
