"""What an oracle reaches within each form of restoration, before hours go into training one.

    python studies/ceilings.py --images 12 -o studies/results/ceilings.json

Every form is fitted to the clean image itself, image by image: nothing trained in that form can do
better. Sensor forms (gains of bands, filters) are fitted to the same light without blur, noise and
JPEG; light forms to the clean image, after the sensor's faults were undone perfectly or not at all.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.degradation import DegradationParams, preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.evaluation.binary import binary_scores
from magenet_batch.evaluation.images import (
    EvaluationImage,
    list_images,
    load_image,
    load_mask,
    masks_of,
)
from magenet_batch.evaluation.lesions import lesion_contrast
from magenet_batch.evaluation.segmenter import Segmenter
from magenet_batch.models.restoration.bands import BANDS, detail_bands
from magenet_batch.quality.full_reference import psnr, ssim
from magenet_batch.randomness import generator

PRESETS = ("evaluation", "mild", "evaluation:blur", "evaluation:noise", "evaluation:jpeg")
_EDGE = 4.0  # weight of differences of neighbours, where vessels are
Solve = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def tensor(pixels: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 to (1, 3, H, W) in 0..1."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def same_light(params: DegradationParams) -> DegradationParams:
    """The same degradation without the sensor's faults."""
    return replace(params, blur_sigma=0.0, noise_read=0.0, noise_shot=0.0, jpeg_quality=0)


def filled(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Outside the mask what is smooth inside: the rim is no edge."""
    at = torch.arange(-24, 25).float()
    g = torch.exp(-0.5 * (at / 10).square())
    g = g / g.sum()

    def smooth(t: torch.Tensor) -> torch.Tensor:
        c = t.shape[1]
        t = F.conv2d(F.pad(t, (24, 24, 0, 0)), g.view(1, 1, 1, -1).repeat(c, 1, 1, 1), groups=c)
        return F.conv2d(F.pad(t, (0, 0, 24, 24)), g.view(1, 1, -1, 1).repeat(c, 1, 1, 1), groups=c)

    low = smooth(x * mask) / smooth(mask).clamp_min(1e-3)
    return torch.where(mask > 0, x, low)


def differences(t: torch.Tensor) -> list[torch.Tensor]:
    """Values, and weighted differences of neighbours along both axes."""
    across, down = F.pad(t.diff(dim=-1), (0, 1)), F.pad(t.diff(dim=-2), (0, 0, 0, 1))
    return [t, _EDGE**0.5 * across, _EDGE**0.5 * down]


def shared_gains(x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One gain per band, alike in all channels."""
    bands = detail_bands(x)
    detail, rest = bands.detail, bands.rest
    columns = [torch.cat([d.flatten() for d in differences(b * mask)]) for b in detail]
    target = torch.cat([d.flatten() for d in differences((y - rest) * mask)])
    gain = torch.linalg.lstsq(torch.stack(columns, 1).double(), target[:, None].double()).solution
    return rest + sum(b * g for b, g in zip(detail, gain[:, 0].float(), strict=True))


def channel_gains(x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """A 3x3 matrix per band."""
    both, rest = detail_bands(x)
    columns = [
        torch.cat([d.flatten() for d in differences(both[:, k : k + 1] * mask)])
        for k in range(3 * BANDS)
    ]
    a = torch.stack(columns, 1).double()
    out = []
    for c in range(3):
        target = torch.cat([d.flatten() for d in differences(((y - rest) * mask)[:, c : c + 1])])
        gain = torch.linalg.lstsq(a, target[:, None].double()).solution[:, 0].float()
        out.append(rest[:, c : c + 1] + (both * gain.view(1, -1, 1, 1)).sum(1, keepdim=True))
    return torch.cat(out, 1)


def local_gains(block: int) -> Solve:
    """Gains of bands that vary from place to place: fitted in windows of this size."""

    def solve(x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        bands = detail_bands(x)
        detail, rest = bands.detail, bands.rest
        f = torch.cat(detail)[:, :, None]  # (K, 3, 1, H, W)
        t = (y - rest)[0]
        step = block // 4

        def window(z: torch.Tensor) -> torch.Tensor:
            summed = z.sum(0)[None, None]
            return F.avg_pool2d(summed, block, step, block // 2, count_include_pad=False)[0, 0]

        k, m = len(detail), mask[0]
        pairs = [window(f[i, :, 0] * f[j, :, 0] * m) for i in range(k) for j in range(k)]
        c = torch.stack(pairs, -1)
        b = torch.stack([window(f[i, :, 0] * t * m) for i in range(k)], -1)
        c = c.view(*c.shape[:2], k, k) + 1e-7 * torch.eye(k)
        coarse = torch.linalg.solve(c.double(), b.double()).float().permute(2, 0, 1)[None]
        gain = F.interpolate(coarse, size=x.shape[-2:], mode="bilinear", align_corners=False)
        gain = gain[0].permute(1, 2, 0)
        return rest + sum(detail[i] * gain[..., i] for i in range(k))

    return solve


def isotropic(x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One isotropic filter per image: a gain for each ring of frequencies."""
    rest, rest_y = detail_bands(x).rest, detail_bands(y).rest
    a, b = torch.fft.fft2((x - rest) * mask), torch.fft.fft2((y - rest_y) * mask)
    fy, fx = torch.fft.fftfreq(x.shape[-2]), torch.fft.fftfreq(x.shape[-1])
    ring = (torch.hypot(fy[:, None], fx[None]) * 128).long().flatten()
    cross = torch.zeros(int(ring.max()) + 1).index_add_(
        0, ring, (a.conj() * b).real.sum((0, 1)).flatten()
    )
    power = torch.zeros(len(cross)).index_add_(0, ring, a.abs().square().sum((0, 1)).flatten())
    gain = (cross / power.clamp_min(1e-9))[ring].view(x.shape[-2:])
    out = torch.fft.ifft2(torch.fft.fft2(x - rest) * gain).real
    return rest + out


def fields(grid: int, *, veil: bool) -> Solve:
    """Light as smooth fields: y = (x exp(L) - v V) / (1 - v), relative contrast cannot fall."""

    def solve(x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        size = x.shape[-2:]
        raw_l = torch.zeros(1, 3, grid, grid, requires_grad=True)
        raw_v = torch.full((1, 1, grid, grid), -3.0, requires_grad=True)
        raw_c = torch.zeros(1, 3, 1, 1, requires_grad=True)
        optimizer = torch.optim.Adam([raw_l, raw_v, raw_c], lr=0.1)
        half = [F.interpolate(t, scale_factor=0.5, mode="area") for t in (x, y, mask)]

        def restored(x: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
            def up(t: torch.Tensor) -> torch.Tensor:
                return F.interpolate(t, size=size, mode="bicubic", align_corners=False)

            v = 0.92 * torch.sigmoid(up(raw_v)) if veil else torch.zeros(())
            return (x * torch.exp(up(raw_l)) - v * torch.sigmoid(raw_c)) / (1 - v)

        for step in range(150):
            optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 150)
            d = (restored(half[0], half[0].shape[-2:]) - half[1]) * half[2]
            steep = d.diff(dim=-1).square().mean() + d.diff(dim=-2).square().mean()
            loss = d.square().mean() + _EDGE * steep
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            return restored(x, size)

    return solve


def affine(x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """A 3x3 matrix and an offset per position, smooth over a sixteenth of the picture."""
    block = max(8, x.shape[-1] // 16) // 2 * 2 + 1

    def window(z: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(z, block, 1, block // 2, count_include_pad=False)

    share = window(mask).clamp_min(1e-3)
    f = torch.cat([x, torch.ones_like(mask)], 1)

    def mean(i: int, other: torch.Tensor, j: int) -> torch.Tensor:
        return (window(f[:, i : i + 1] * other[:, j : j + 1] * mask) / share)[0, 0]

    c = torch.stack([mean(i, f, j) for i in range(4) for j in range(4)], -1)
    b = torch.stack([mean(i, y, j) for i in range(4) for j in range(3)], -1)
    c = c.view(*c.shape[:2], 4, 4).double() + 1e-5 * torch.eye(4).double()
    m = torch.linalg.solve(c, b.view(*b.shape[:2], 4, 3).double()).float()
    return torch.stack([sum(m[..., i, j] * f[0, i] for i in range(4)) for j in range(3)])[None]


SENSOR: dict[str, Solve] = {
    "gains shared": shared_gains, "gains per channel": channel_gains,
    "gains per position, 49 px": local_gains(49), "gains per position, 17 px": local_gains(17),
    "isotropic filter": isotropic,
}  # fmt: skip
LIGHT: dict[str, Solve] = {
    "light, 32": fields(32, veil=False), "light and veil, 32": fields(32, veil=True),
    "light and veil, 16": fields(16, veil=True), "affine per position": affine,
}  # fmt: skip


class Measure:
    """PSNR, SSIM, vessels and lesions of one image."""

    def __init__(
        self, image: EvaluationImage, drawn: np.ndarray | None, lesions: dict[str, np.ndarray]
    ) -> None:
        self.image, self.drawn, self.lesions = image, drawn, lesions
        self.mask = torch.from_numpy(image.mask)[None, None].float()
        self.segmenter = Segmenter.load()

    def __call__(self, x: torch.Tensor) -> dict[str, float]:
        """Of a restored image (1, 3, H, W)."""
        image, target = self.image, tensor(self.image.pixels)
        x = torch.where(self.mask > 0, x.clamp(0, 1), target)
        gain = ((x * target * self.mask).sum((2, 3)) / (x * x * self.mask).sum((2, 3)))[
            ..., None, None
        ]
        found = {
            "psnr": float(psnr(preds=x, target=target, mask=self.mask).clamp(max=60)),
            "psnr_aligned": float(
                psnr(preds=x * gain, target=target, mask=self.mask).clamp(max=60)
            ),
            "ssim": float(ssim(preds=x, target=target, mask=self.mask)),
        }
        pixels = (x[0].permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)
        if self.drawn is not None:
            seen = self.segmenter.segment(pixels, image.fov)[image.mask]
            scores = binary_scores(seen, self.drawn[image.mask], threshold=self.segmenter.threshold)
            found |= {"auc": scores["auc"], "iou": scores["iou"]}
        if self.lesions:
            given = {"others": np.any(list(self.lesions.values()), axis=0), "fov_mask": image.mask}
            ratios = []
            for lesion in self.lesions.values():
                clean = lesion_contrast(image.pixels, lesion, **given)
                now = lesion_contrast(pixels, lesion, **given)
                if clean is not None and now is not None and abs(clean) > 0.02:
                    ratios.append(now / clean)
            if ratios:
                found["lesions"] = float(np.mean(ratios))
        return found


def load(root: Path, folder: str, count: int) -> list[Measure]:
    """Images with what belongs to them."""
    paths = [
        p for p in list_images(root / folder) if folder == "idrid/val_clean" or any(masks_of(p))
    ]
    found = []
    for path in paths[:: max(1, len(paths) // count)][:count]:
        image = load_image(path, size=512)
        if image is None:
            continue
        shape = image.pixels.shape[:2]
        drawn = masks_of(path) if folder != "idrid/val_clean" else ()
        masks = {kind: load_mask(m, shape=shape) for kind, m in drawn}
        vessels = next(iter(masks.values())) if folder.startswith(("hrf", "lesav")) else None
        found.append(Measure(image, vessels, masks if "lesions" in folder else {}))
    return found


def study(measures: list[Measure], name: str, part: str) -> dict[str, dict[str, float]]:
    """All forms on one folder under one preset: form -> measure -> mean."""
    rows: dict[str, list[dict[str, float]]] = {}
    for index, measure in enumerate(measures):
        image = measure.image
        params = sample_degradation(generator(1, f"{part} {name}", index), preset(name))
        seen = tensor(degrade_pixels(image.pixels, params, mask=image.mask))
        lit = tensor(degrade_pixels(image.pixels, same_light(params), mask=image.mask))
        clean, mask = tensor(image.pixels), measure.mask
        x, y, c = (filled(t, mask) for t in (seen, lit, clean))

        def note(form: str, result: torch.Tensor) -> None:
            rows.setdefault(form, []).append(measure(result))  # noqa: B023

        note("clean", clean)
        note("nothing", seen)
        best = {form: solve(x, y, mask) for form, solve in SENSOR.items()}
        for form, result in best.items():
            note(form, result)
        if ":" in name:
            continue
        note("sensor undone perfectly", lit)
        for form, solve in LIGHT.items():
            note(form, solve(x, c, mask))
            note(f"sensor perfect, then {form}", solve(y, c, mask))
        for form in ("gains per channel", "gains per position, 49 px"):
            note(
                f"{form}, then light and veil, 32", LIGHT["light and veil, 32"](best[form], c, mask)
            )
    return {
        form: {key: float(np.mean([r[key] for r in found if key in r])) for key in found[0]}
        for form, found in rows.items()
    }


def main() -> None:
    """Print a table per folder and preset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument(
        "--folders", nargs="+", default=["hrf/test-vessels", "idrid/lesions_test", "lesav"]
    )
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    result: dict[str, dict[str, dict[str, float]]] = {}
    for folder in args.folders:
        measures = load(args.data, folder, args.images)
        part = "vessels" if measures[0].drawn is not None else "lesions"
        for name in args.presets:
            table = study(measures, name, part)
            result[f"{folder} {name}"] = table
            columns = list(table["clean"])
            print(f"\n{folder}, {name}, {len(measures)} images\n| form | {' | '.join(columns)} |")
            print("| --- |" + " --- |" * len(columns))
            for form, values in table.items():
                print(
                    f"| {form} | " + " | ".join(f"{values[c]:.4g}" for c in columns) + " |",
                    flush=True,
                )
    if args.output:
        args.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
