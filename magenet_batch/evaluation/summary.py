"""What a table of measurements says: rows for people, numbers for scripts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from magenet_batch.evaluation.methods import OURS
from magenet_batch.evaluation.table import Mean, Table, paired_mean
from magenet_batch.evaluation.verdict import interval

_CLASSICAL = ("clahe", "luminosity", "dcp", "dcp_inverted", "graham", "unsharp")
_REAL = ("sharpness", "contrast", "illumination", "haze", "noise", "structure_agreement",
         "vessel_new", "vessel_lost", "colour_shift")  # fmt: skip


@dataclass(frozen=True)
class Sheet:
    """One table to print.

    Attributes:
        title: above it.
        note: below the title, how to read it.
        head: names of the columns.
        rows: cells, as text.
    """

    title: str
    note: str
    head: list[str]
    rows: list[list[str]]


def sheets(table: Table) -> list[Sheet]:
    """All tables that the measurements allow."""
    found = [
        _synthetic(table, "psnr", "PSNR (dB)", 2), _synthetic(table, "ssim", "SSIM", 4),
        _synthetic(table, "ms_ssim", "MS-SSIM", 4), _severities(table), _gaps(table),
        *[_vessels(table, name) for name in table.column("preset", part="vessels")],
        _lesions(table), *[_real(table, name) for name in table.column("preset", part="real")],
    ]  # fmt: skip
    return [sheet for sheet in found if sheet.rows]


def numbers(table: Table) -> dict[str, Any]:
    """Every mean with its interval: part -> preset -> method -> measure."""
    result: dict[str, Any] = {}
    for part in table.column("part"):
        for name in table.column("preset", part=part):
            for method in table.column("method", part=part, preset=name):
                for measure in table.column("measure", part=part, preset=name, method=method):
                    mean = table.mean(part=part, preset=name, method=method, measure=measure)
                    if mean is not None:
                        into = result.setdefault(part, {}).setdefault(name, {})
                        into.setdefault(method, {})[measure] = asdict(mean)
    return result


def markdown(found: list[Sheet]) -> str:
    """The tables in Markdown."""
    lines: list[str] = []
    for sheet in found:
        lines += [f"## {sheet.title}", "", sheet.note, ""]
        lines += [f"| {' | '.join(sheet.head)} |", "| " + "--- | " * len(sheet.head)]
        lines += [f"| {' | '.join(row)} |" for row in sheet.rows]
        lines.append("")
    return "\n".join(lines)


def _synthetic(table: Table, measure: str, title: str, digits: int) -> Sheet:
    """One row per preset, one column per method, and our gain over doing nothing."""
    methods = table.column("method", part="synthetic")
    rows = []
    for name in table.column("preset", part="synthetic"):
        where = {"part": "synthetic", "preset": name, "measure": measure}
        means = [table.mean(method=method, **where) for method in methods]
        if not any(means):
            continue
        gain = paired_mean(table, OURS, "identity", **where)
        rows.append([name, *[_text(m, digits) for m in means], interval(gain, digits)])
    return Sheet(
        f"{title} against the clean image",
        "Means over images, inside the field of view; identity does nothing, and clean is the "
        "clean image itself given in. The last column is our gain over doing nothing with its 95 % "
        "bootstrap interval.",
        ["degradation", *methods, "gain [95 %]"], rows,
    )  # fmt: skip


def _severities(table: Table) -> Sheet:
    """Our gain by how bad the input was."""
    rows = []
    for name in table.column("preset", part="synthetic"):
        gains = []
        for severity in ("light", "middle", "severe"):
            where = {
                "part": "synthetic", "preset": name, "measure": "psnr", "severity": severity,
            }  # fmt: skip
            before = table.mean(method="identity", **where)
            gain = paired_mean(table, OURS, "identity", **where)
            gains += [_text(before, 2), interval(gain, 2)]
        if any(g != "-" for g in gains):
            rows.append([name, *gains])
    head = ["degradation"]
    for word in ("light", "middle", "severe"):
        head += [f"{word}: input", "gain [95 %]"]
    return Sheet(
        "PSNR gain (dB) by severity",
        "Thirds of the images of a preset, by the PSNR of the degraded image.", head, rows,
    )  # fmt: skip


def _gaps(table: Table) -> Sheet:
    """Share of the distance to the clean image that was made good, and the best classical rival."""
    rows = []
    for name in table.column("preset", part="synthetic"):
        where = {"part": "synthetic", "preset": name}
        before = table.mean(method="identity", measure="ssim", **where)
        after = table.mean(method=OURS, measure="ssim", **where)
        if name == "clean" or before is None or after is None:
            continue
        rivals = {
            method: mean.value
            for method in _CLASSICAL
            if (mean := table.mean(method=method, measure="psnr", **where)) is not None
        }
        ours = table.mean(method=OURS, measure="psnr", **where)
        best = max(rivals, key=lambda m: rivals[m]) if rivals else ""
        ahead = f"{ours.value - rivals[best]:+.2f} ({best})" if best and ours else "-"
        rows.append([name, _closed(before.value, after.value, 1.0), ahead])
    return Sheet(
        "SSIM gap closed, and PSNR (dB) ahead of the best classical method",
        "(enhanced - degraded) / (1 - degraded).",
        ["degradation", "SSIM gap closed", "ahead of the best classical"], rows,
    )  # fmt: skip


def _vessels(table: Table, preset: str) -> Sheet:
    """What an independent segmenter finds."""
    where = {"part": "vessels", "preset": preset}
    measures = ("auc", "pr_auc", "iou", "dice", "accuracy", "sensitivity")
    means = {
        method: {m: table.mean(method=method, measure=m, **where) for m in measures}
        for method in table.column("method", **where)
    }
    low, high = means.get("identity", {}), means.get("clean ceiling", {})
    rows = []
    for method, found in means.items():
        closed = []
        for measure in ("iou", "auc"):
            a, b, c = low.get(measure), found[measure], high.get(measure)
            closed.append(_closed(a.value, b.value, c.value) if a and b and c else "-")
        rows.append([method, *[_text(found[m], 4) for m in measures], *closed])
    return Sheet(
        f"Vessels, {preset}",
        "Found by a segmenter that had no part in training (Gabor filters, logistic regression). "
        "Gap closed: (enhanced - degraded) / (clean - degraded). Sensitivity at specificity 0.95.",
        ["method", "AUC", "PR-AUC", "IoU", "Dice", "accuracy", "sensitivity", "IoU gap closed",
         "AUC gap closed"], rows,
    )  # fmt: skip


def _lesions(table: Table) -> Sheet:
    """Contrast of lesions relative to the clean image."""
    rows = []
    measures = table.column("measure", part="lesions")
    measures = sorted(set(measures), key=lambda m: (m != "contrast", m))
    for name in table.column("preset", part="lesions"):
        for method in table.column("method", part="lesions"):
            where = {"part": "lesions", "preset": name, "method": method}
            found = [
                f"{np.median(list(values.values())):.3f}"
                if (values := table.values(measure=m, **where)) else "-"
                for m in measures
            ]  # fmt: skip
            rows.append([name, method, *found])
    words = [m.removeprefix("contrast_") if m != "contrast" else "all" for m in measures]
    return Sheet(
        "Lesion contrast, relative to the clean image",
        "Medians over images; 1 is as in the clean image. Negative: dark became bright.",
        ["degradation", "method", *words], rows,
    )  # fmt: skip


def _real(table: Table, preset: str) -> Sheet:
    """No-reference quality and fidelity on real images."""
    where = {"part": "real", "preset": preset}
    rows = [
        [method, *[_text(table.mean(method=method, measure=m, **where), 3) for m in _REAL]]
        for method in table.column("method", **where)
    ]
    return Sheet(
        f"Real images: {preset}",
        "Quality without a reference, and what the structure module says of anatomy. A method that "
        "sharpens everything looks good on the left and bad on the right.",
        ["method", *_REAL], rows,
    )  # fmt: skip


def _closed(low: float, value: float, high: float) -> str:
    """Share of the way from low to high; nothing to say where there is no way."""
    return f"{(value - low) / (high - low):.2f}" if high - low > 1e-3 else "-"


def _text(mean: Mean | None, digits: int) -> str:
    return "-" if mean is None else f"{mean.value:.{digits}f}"
