"""The gates, one function each. docs/benchmarks.md shows the results."""

from __future__ import annotations

from gate_bench import Bench
from gate_registry import (
    Found,
    column,
    gap_closed,
    gate,
    least,
    least_of,
    mean_of,
    median_of,
    most,
    near,
    over_nothing,
    told,
)

from magenet_batch.degradation import KINDS

KNOWN, UNSEEN, FILM, HEALTHY = "idrid/val_clean", "lesav", "stare", "hrf/test-vessels"
LESIONS = "idrid/lesions_test"
BOTH = ("evaluation", "mild")
UNDEGRADED = (FILM, UNSEEN, HEALTHY)
CLEAN = (KNOWN, UNSEEN, HEALTHY)
WITH_MACULA = (KNOWN, HEALTHY)  # lesav is centred on the disc, with narrow fields
BAD = {"cataract": (1.6, 2.0), "hygd/degraded": (1.3, 1.6), "idrid/real_degraded": (1.2, 1.5)}
MARGINS = {"psnr": 0.2, "ssim": 0.005}  # gains over doing nothing that count as more than chance


def each(names, limits) -> dict:
    return dict.fromkeys(names, limits)


@gate(
    "kinds", "every single kind of degradation alone, over doing nothing", unit="dB; SSIM",
    parts={
        f"kinds that hold, of {len(KINDS)}": least(len(KINDS), len(KINDS), digits=0),
        **{f"{kind}, PSNR": least(0, MARGINS["psnr"]) for kind in KINDS},
        **{f"{kind}, SSIM": least(0, MARGINS["ssim"], digits=4) for kind in KINDS},
    },
)  # fmt: skip
def kinds(bench: Bench) -> dict[str, Found]:
    found, count = {}, 0
    for kind in KINDS:
        rows = bench.pairs(KNOWN, f"evaluation:{kind}")
        gains = {m: over_nothing(rows, m) for m in ("psnr", "ssim")}
        found |= {f"{kind}, {m.upper()}": gain for m, gain in gains.items()}
        count += all(
            gains[m].value is not None and round(gains[m].value, digits) >= 0
            for m, digits in (("psnr", 2), ("ssim", 4))
        )
    return {f"kinds that hold, of {len(KINDS)}": Found(float(count)), **found}


@gate(
    "blur_noise", "blur alone, noise alone: PSNR over doing nothing", unit="dB",
    parts={"blur": least(1.5, 3), "noise": least(4, 6)},
)  # fmt: skip
def blur_noise(bench: Bench) -> dict[str, Found]:
    return {
        kind: over_nothing(bench.pairs(KNOWN, f"evaluation:{kind}"), "psnr")
        for kind in ("blur", "noise")
    }


@gate(
    "clean_known", "clean in, known camera", unit="dB; SSIM",
    parts={"PSNR": least(50, 55), "SSIM": least(0.996, 0.999, digits=4)},
)  # fmt: skip
def clean_known(bench: Bench) -> dict[str, Found]:
    rows = bench.pairs(KNOWN, "clean")
    return {"PSNR": mean_of(column(rows, "psnr")), "SSIM": mean_of(column(rows, "ssim"))}


@gate(
    "clean_unseen", "clean in, cameras left out of training: PSNR", unit="dB",
    parts=each((UNSEEN, FILM), least(42, 50)),
)  # fmt: skip
def clean_unseen(bench: Bench) -> dict[str, Found]:
    return {
        folder: mean_of(column(bench.pairs(folder, "clean"), "psnr")) for folder in (UNSEEN, FILM)
    }


@gate(
    "ssim_gap", "SSIM gap closed, known camera", unit="",
    parts={"evaluation": least(0.45, 0.6), "mild": least(0.4, 0.6)},
)  # fmt: skip
def ssim_gap(bench: Bench) -> dict[str, Found]:
    pairs = {preset: bench.pairs(KNOWN, preset) for preset in BOTH}
    return {
        preset: gap_closed(column(rows, "ssim"), column(rows, "nothing_ssim"), None)
        for preset, rows in pairs.items()
    }


@gate(
    "psnr_known", "PSNR over doing nothing, known camera", unit="dB",
    parts={"evaluation": least(4.5, 7), "mild": least(3, 5)},
)  # fmt: skip
def psnr_known(bench: Bench) -> dict[str, Found]:
    return {preset: over_nothing(bench.pairs(KNOWN, preset), "psnr") for preset in BOTH}


@gate(
    "psnr_aligned", "the same with each channel's gain aligned, both rows", unit="dB",
    parts={
        f"{folder}, {preset}": least(*limits)
        for folder in (KNOWN, UNSEEN)
        for preset, limits in (("evaluation", (3, 6)), ("mild", (2, 4)))
    },
)  # fmt: skip
def psnr_aligned(bench: Bench) -> dict[str, Found]:
    return {
        f"{folder}, {preset}": over_nothing(bench.pairs(folder, preset), "psnr_aligned")
        for folder in (KNOWN, UNSEEN)
        for preset in BOTH
    }


@gate(
    "psnr_unseen", "PSNR over doing nothing, a camera left out of training (lesav)", unit="dB",
    parts={
        **each([f"{preset}, raw" for preset in BOTH], least(0, 3)),
        **each([f"{preset}, aligned" for preset in BOTH], least(1, 4)),
    },
)  # fmt: skip
def psnr_unseen(bench: Bench) -> dict[str, Found]:
    return {
        f"{preset}, {word}": over_nothing(bench.pairs(UNSEEN, preset), measure)
        for preset in BOTH
        for word, measure in (("raw", "psnr"), ("aligned", "psnr_aligned"))
    }


def vessel_gap(bench: Bench, preset: str, measure: str) -> Found:
    rows = bench.vessels(HEALTHY, preset)
    return gap_closed(*(column(rows, f"{m}_{measure}") for m in ("ours", "nothing", "clean")))


@gate(
    "vessel_iou", "vessel gap closed in IoU (HRF, healthy)", unit="",
    parts={
        "evaluation": least(0.35, 0.5), "mild": least(0.55, 0.75), "blur alone": least(0.6, 0.8),
    },
)  # fmt: skip
def vessel_iou(bench: Bench) -> dict[str, Found]:
    named = {"evaluation": "evaluation", "mild": "mild", "blur alone": "evaluation:blur"}
    return {label: vessel_gap(bench, preset, "iou") for label, preset in named.items()}


@gate(
    "vessel_auc", "vessel gap closed in AUC (HRF, healthy)", unit="",
    parts={"mild": least(0.45, 0.75), "evaluation": told()},
)  # fmt: skip
def vessel_auc(bench: Bench) -> dict[str, Found]:
    return {preset: vessel_gap(bench, preset, "auc") for preset in ("mild", "evaluation")}


@gate(
    "lesions", "contrast of lesions to that in the clean image, median", unit="",
    parts={
        "evaluation": least(0.75, 0.9), "mild": least(0.9, 1.0), "clean": near(0.01, 0.002),
        "evaluation, nothing done": told(), "mild, nothing done": told(),
    },
)  # fmt: skip
def lesions(bench: Bench) -> dict[str, Found]:
    rows = {preset: bench.lesions(LESIONS, preset) for preset in (*BOTH, "clean")}
    ours = {preset: median_of(column(found, "ours_contrast")) for preset, found in rows.items()}
    return ours | {
        f"{preset}, nothing done": median_of(column(rows[preset], "nothing_contrast"))
        for preset in BOTH
    }


@gate(
    "real_contrast", "real, nothing degraded: contrast of vessels to the original's", unit="",
    parts={
        **each([f"{folder}, median" for folder in UNDEGRADED], least(1, 1.1, digits=3)),
        **each([f"{folder}, worst" for folder in UNDEGRADED], least(0.97, 1, digits=3)),
    },
)  # fmt: skip
def real_contrast(bench: Bench) -> dict[str, Found]:
    columns = {folder: column(bench.undegraded(folder), "contrast") for folder in UNDEGRADED}
    return {f"{folder}, median": median_of(found) for folder, found in columns.items()} | {
        f"{folder}, worst": least_of(found) for folder, found in columns.items()
    }


@gate(
    "real_noise", "the same: contrast to grain, to the original's", unit="",
    parts={
        **each([f"{folder}, mean" for folder in UNDEGRADED], least(1, 1.1, digits=3)),
        **each([f"{folder}, worst" for folder in UNDEGRADED], told(digits=3)),
    },
)  # fmt: skip
def real_noise(bench: Bench) -> dict[str, Found]:
    columns = {folder: column(bench.undegraded(folder), "to_noise") for folder in UNDEGRADED}
    return {f"{folder}, mean": mean_of(found) for folder, found in columns.items()} | {
        f"{folder}, worst": least_of(found) for folder, found in columns.items()
    }


@gate(
    "real_auc", "the same: AUC of the segmenter over the original's", unit="",
    parts=each(UNDEGRADED, least(0, 0.001, digits=4)),
)  # fmt: skip
def real_auc(bench: Bench) -> dict[str, Found]:
    return {folder: mean_of(column(bench.undegraded(folder), "auc_gain")) for folder in UNDEGRADED}


@gate(
    "real_bad", "real and bad: contrast of lines to the original's", unit="",
    parts={
        label: limits
        for folder, (must, aim) in BAD.items()
        for label, limits in (
            (f"{folder}, delivered, median", least(must, aim)),
            (f"{folder}, delivered, worst", least(0.97, 1)),
            (f"{folder}, delivered, images", told(digits=0)),
            (f"{folder}, all, median", told()),
            (f"{folder}, all, worst", told()),
        )
    },
)  # fmt: skip
def real_bad(bench: Bench) -> dict[str, Found]:
    found = {}
    for folder in BAD:
        rows = bench.bad(folder)
        given = {name: row for name, row in rows.items() if row["kept"] is None}
        delivered, everything = column(given, "lines"), column(rows, "lines")
        found |= {
            f"{folder}, delivered, median": median_of(delivered),
            f"{folder}, delivered, worst": least_of(delivered),
            f"{folder}, delivered, images": Found(float(len(given))),
            f"{folder}, all, median": median_of(everything),
            f"{folder}, all, worst": least_of(everything),
        }
    return found


@gate(
    "macula", "depth of the macula to that of the clean image, where it is clear", unit="",
    parts={
        **each([f"{folder}, mean" for folder in WITH_MACULA], least(0.95, 1, digits=3)),
        **each([f"{folder}, worst" for folder in WITH_MACULA], told(digits=3)),
    },
)  # fmt: skip
def macula(bench: Bench) -> dict[str, Found]:
    columns = {folder: column(bench.pairs(folder, "clean"), "depth") for folder in WITH_MACULA}
    return {f"{folder}, mean": mean_of(found) for folder, found in columns.items()} | {
        f"{folder}, worst": least_of(found) for folder, found in columns.items()
    }


@gate(
    "colour", "mean shift of hue and chroma on clean images", unit="dE in a*b*",
    parts=each(CLEAN, most(3, 1)),
)  # fmt: skip
def colour(bench: Bench) -> dict[str, Found]:
    return {folder: mean_of(column(bench.pairs(folder, "clean"), "hue")) for folder in CLEAN}


@gate(
    "cost", "cost in CPU seconds, to that of the reference in the same run", unit="",
    parts={
        # Two runs of the same work differ by a few per cent: one digit.
        "512 px, to the reference's": most(1, 0.5, digits=1),
        "12 megapixels, to the reference's": most(1, 0.5, digits=1),
        **each(
            [
                f"{size}, {whose}{what}"
                for size in ("512 px", "12 megapixels")
                for whose in ("", "reference, ")
                for what in ("ms", "ms of CPU")
            ],
            told(digits=0),
        ),
    },
)  # fmt: skip
def cost(bench: Bench) -> dict[str, Found]:
    found = {}
    for size, (ours, reference) in bench.cost().items():
        for whose, one in (("", ours), ("reference, ", reference)):
            found[f"{size}, {whose}ms"] = Found(one and 1e3 * one.seconds)
            found[f"{size}, {whose}ms of CPU"] = Found(one and 1e3 * one.cpu_seconds)
        # CPU seconds: on a busy machine they are more reliable than wall time.
        share = ours.cpu_seconds / reference.cpu_seconds if reference else None
        found[f"{size}, to the reference's"] = Found(share)
    return found
