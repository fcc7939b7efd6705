"""Bleaches what was there, and sees whether the policy catches it: docs/quality.md.

    python studies/fading.py [--data ../shared/data] [--images 12]

No network is judged: known-true restorations stand for outputs, so the limits do not depend on
weights. A clean photograph (idrid/val_clean, hrf/test-vessels) gets an area of a given size, dark
as a haemorrhage or bright as exudates; it is degraded (`before`) and restored exactly (`after`),
with the area bleached by 20, 40 or 60 percent. Vessels and the macula are bleached as well, and a
fogged frame is painted with the retina that was there. Honest
outputs are the same without bleaching, by kind of degradation. The limits in quality/limits.py were
chosen on every second photograph of a folder (`chosen_on`); the others (`held_out`) give the rates
that are stated, whatever --images is. Writes studies/results/fading.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from magenet_batch.degradation import DegradationParams, preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.evaluation.images import EvaluationImage, list_images, load_image
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.quality.fading import measure_fading
from magenet_batch.quality.limits import LEAST, MOST
from magenet_batch.quality.macula import find_macula

RESULTS = Path(__file__).parent / "results"
SIZE = 520  # longest side of the photographs
SIZES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5)  # radii of areas, in radii of the field of view
STRENGTHS = (0.2, 0.4, 0.6)
VESSELS = (0.05, 0.1, 0.2, 0.4)
PAINTED = (0.6, 1.0)
UNDER = ("nothing", "gradient", "hole", "yellow", "blur", "haze")
HONEST = ("haze", "gradient", "hole", "yellow", "blur", "noise", "jpeg", "dirt kept")
OTHERS = ("dirt removed", "halo")
DARK, BRIGHT = np.array((0.2, 0.45, 0.3)), np.array((0.5, 0.6, 0.3))
_SOFTEST = 0.02  # radii: a real lesion has an edge, however large it is


def area(fov: FieldOfView, shape: tuple[int, ...], rng: np.random.Generator, size: float):
    """A disc with a wavy outline as a soft mask (H, W, 1), anywhere in the field of view."""
    turn, away = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform()) * max(0.0, 0.85 - size)
    x = fov.x + away * fov.radius * np.cos(turn)
    y = fov.y + away * fov.radius * np.sin(turn)
    y = float(np.clip(y, fov.top + 0.1 * fov.radius, fov.bottom - 0.1 * fov.radius))
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    angle, distance = np.arctan2(rows - y, columns - x), np.hypot(rows - y, columns - x)
    outline = 1 + sum(
        rng.normal(0, 0.12) / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4)
    )
    soft = float(np.clip(0.12 * size, 0.004, _SOFTEST)) / 2
    inside = np.clip((size * outline - distance / fov.radius) / soft, -40, 40)
    return (1 / (1 + np.exp(-inside)))[..., None]


def painted(pixels: np.ndarray, mask: np.ndarray, *, dark: bool, share: float) -> np.ndarray:
    """Pixels with that share of an area's contrast."""
    x = pixels.astype(float)
    x = x * (1 - share * mask * DARK) if dark else x + share * mask * BRIGHT * (
        230 - np.minimum(x, 230)
    )  # fmt: skip
    return np.rint(x.clip(0, 255)).astype(np.uint8)


def kind_of(kind: str, rng: np.random.Generator) -> DegradationParams:
    if kind == "nothing":
        return DegradationParams()
    return sample_degradation(rng, preset(f"evaluation:{kind}"))


def bleached_vessels(pixels: np.ndarray, vessels: np.ndarray, share: float) -> np.ndarray:
    """Vessels brought nearer to what a closing fills them with."""
    side = 2 * (pixels.shape[1] // 90) + 1
    filled = cv2.morphologyEx(pixels, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    likely = cv2.resize(vessels, pixels.shape[1::-1])[..., None]
    where = share * cv2.GaussianBlur(np.clip(2 * likely, 0, 1), (0, 0), 1.0)[..., None]
    return np.rint(pixels + where * (filled.astype(float) - pixels)).astype(np.uint8)


def bleached_macula(pixels: np.ndarray, fov: FieldOfView, share: float) -> np.ndarray | None:
    """The macula lifted toward the ring about it, by a soft spot of light."""
    place = find_macula(pixels, fov)
    if place is None:
        return None
    height, width = pixels.shape[:2]
    top, _, left, _ = fov.box(height, width)
    scale = 2 * fov.radius / 512
    rows, columns = np.ogrid[:height, :width]
    away = np.hypot(rows - top - place.y * scale, columns - left - place.x * scale)
    green = pixels[..., 1].astype(float)
    centre = np.median(green[away < 14 * scale])
    ring = np.median(green[(away > 50 * scale) & (away < 82 * scale)])
    gain = share * max(0.0, ring / max(centre, 1.0) - 1)
    lift = 1 + gain * np.exp(-((away / (24 * scale)) ** 2) / 2)[..., None]
    return np.rint((pixels * lift).clip(0, 255)).astype(np.uint8)


def honest(image: EvaluationImage, kind: str, rng: np.random.Generator):
    """A degraded image, and its true restoration."""
    clean, mask = image.pixels, image.mask
    if not kind.startswith("dirt"):
        return degrade_pixels(clean, kind_of(kind, rng), mask=mask), clean
    dirty = degrade_pixels(clean, kind_of("spots", rng), mask=mask)
    if kind == "dirt removed":
        return dirty, clean
    return degrade_pixels(dirty, kind_of("gradient", rng), mask=mask), dirty


def trials(image: EvaluationImage, enhancer: Enhancer, seed: int) -> list[dict]:
    """All outputs of one photograph, measured."""
    found: list[dict] = []
    fov, clean, mask = image.fov, image.pixels, image.mask

    def add(kind: str, before, after, vessels=None, **what) -> None:
        start = time.process_time()
        row = measure_fading(before, after, fov, vessels=vessels)
        found.append({"kind": kind, **what, **row, "s": time.process_time() - start})

    for number, kind in enumerate((*HONEST, *OTHERS)):
        before, after = honest(image, kind, np.random.default_rng([1, seed, number]))
        add("honest", before, after, enhancer.vessels(before, fov), under=kind)
    for number, size in enumerate(SIZES):
        for dark in (True, False):
            rng = np.random.default_rng([2, seed, number, dark])
            under = UNDER[(seed + number + 3 * dark) % len(UNDER)]
            where, contrast = area(fov, clean.shape, rng, size), rng.uniform(0.8, 1.0)
            params = kind_of(under, rng)
            whole = painted(clean, where, dark=dark, share=contrast)
            before = degrade_pixels(whole, params, mask=mask)
            for strength in STRENGTHS:
                after = painted(clean, where, dark=dark, share=contrast * (1 - strength))
                add("area", before, after, under=under, size=size,
                    tone="dark" if dark else "bright", strength=strength)  # fmt: skip
    under = UNDER[seed % len(UNDER)]
    before = degrade_pixels(clean, kind_of(under, np.random.default_rng([3, seed])), mask=mask)
    vessels, true = enhancer.vessels(before, fov), enhancer.vessels(clean, fov)
    for strength in VESSELS:
        after = bleached_vessels(clean, true, strength)
        add("vessels", before, after, vessels, under=under, strength=strength)
    for strength in STRENGTHS:
        after = bleached_macula(clean, fov, strength)
        if after is not None:
            add("macula", before, after, vessels, under=under, strength=strength)
    plain = degrade_pixels(clean, heavy_veil(), mask=mask)
    fogged = cv2.GaussianBlur(plain, (0, 0), 0.1 * fov.radius)
    for strength in PAINTED:
        share = strength * mask[..., None]
        after = np.rint(fogged * (1 - share) + share * clean).astype(np.uint8)
        add("painted", fogged, after, None, strength=strength)
    return found


def heavy_veil() -> DegradationParams:
    return DegradationParams(haze_strength=0.8, haze_spread=3.0)


def faded(row: dict, *names: str) -> bool:
    return any(row[n] is not None and row[n] < LEAST[n] for n in names or LEAST)


def share(rows: list[dict], *names: str) -> dict:
    return {
        "n": len(rows),
        "share": round(sum(faded(r, *names) for r in rows) / max(1, len(rows)), 4),
    }


def painted_share(rows: list[dict]) -> float:
    new = [row["new_structure"] > MOST["new_structure"] for row in rows]
    return round(sum(new) / max(1, len(new)), 4)


def rates(rows: list[dict]) -> dict:
    """Share that is called faded: of honest outputs, and of planted fading by size and strength."""

    def those(kind: str, **what) -> list[dict]:
        return [r for r in rows if r["kind"] == kind and all(r[k] in v for k, v in what.items())]

    honest_rows = those("honest", under=HONEST)
    plain = tuple(kind for kind in UNDER if kind not in ("blur", "haze"))
    return {
        "honest": share(honest_rows)
        | {name: share(honest_rows, name)["share"] for name in LEAST}
        | {kind: share(those("honest", under=(kind,)))["share"] for kind in (*HONEST, *OTHERS)},
        "area": {
            f"{size} {tone} {strength}": share(
                those("area", size=(size,), tone=(tone,), strength=(strength,), under=plain)
            )
            for size in SIZES for tone in ("dark", "bright") for strength in STRENGTHS
        },
        "area_all": share(those("area", under=plain)),
        "area_by_strength": {
            str(s): share(those("area", strength=(s,), under=plain)) for s in STRENGTHS
        },
        "area_under": {
            kind: {str(s): share(those("area", strength=(s,), under=(kind,))) for s in STRENGTHS}
            for kind in UNDER
        },
        "vessels": {
            str(s): share(those("vessels", strength=(s,), under=plain), "vessel_contrast")
            for s in VESSELS
        },
        "painted": {
            str(s): {
                "n": len(those("painted", strength=(s,))),
                "share": painted_share(those("painted", strength=(s,))),
            }
            for s in PAINTED
        },
        "honest_painted": {
            kind: painted_share(those("honest", under=(kind,))) for kind in (*HONEST, *OTHERS)
        },
        "macula": {
            str(s): share(
                [r for r in those("macula", strength=(s,), under=plain)
                 if r["macula_contrast"] is not None], "macula_contrast")
            for s in STRENGTHS
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--images", type=int, default=30, help="in all")
    parser.add_argument("--rows", type=Path, help="write every measurement there, as JSON")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"the photographs are not there: {arguments.data}; say where with --data")
    enhancer = Enhancer.load(threads=1)
    halves: tuple[list, list] = ([], [])
    paths = [
        (path, list_images(arguments.data / folder).index(path) % 2)
        for folder, part in (("idrid/val_clean", 0.7), ("hrf/test-vessels", 0.3))
        for path in list_images(
            arguments.data / folder, limit=max(1, round(part * arguments.images))
        )
    ]
    for seed, (path, half) in enumerate(paths):
        image = load_image(path, size=SIZE)
        if image is not None:
            halves[half].extend(trials(image, enhancer, seed))
            print(seed, path.name, half, file=sys.stderr, flush=True)
    if arguments.rows:
        arguments.rows.write_text(json.dumps(halves))
    everything = [*halves[0], *halves[1]]
    facts = {
        "images": len(paths), "photographs_held_out": sum(half for _, half in paths),
        "limits": {**LEAST, **MOST},
        "cpu_s": round(float(np.median([row["s"] for row in everything])), 4),
        "chosen_on": rates(halves[0]), "held_out": rates(halves[1]),
    }  # fmt: skip
    (RESULTS / "fading.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts["held_out"], indent=1))


if __name__ == "__main__":
    main()
