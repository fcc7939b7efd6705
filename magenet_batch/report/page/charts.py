"""Charts as inline SVG: numbers printed, axes titled, colours left to the style sheet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from magenet_batch.report.totals.histogram import Histogram
from magenet_batch.report.words import number

WIDTH, HEIGHT = 340, 176
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 22, 40
_DIGIT = 7.2
"""Width of a digit of the printed medians."""


@dataclass(frozen=True)
class Series:
    """One distribution in a chart.

    Attributes:
        histogram: the distribution.
        css: its CSS class, `before` or `after`.
        label: its name in the legend and for screen readers.
    """

    histogram: Histogram
    css: str
    label: str


def nice_ticks(low: float, high: float, *, count: int = 4) -> list[float]:
    """Round numbers that divide a range into about `count` parts (1, 2 or 5 times ten to n)."""
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _window(series: list[Series]) -> tuple[float, float]:
    """The range that holds nearly all values, never narrower than what can be told apart."""
    lows = [s.histogram.quantile(0.002) for s in series]
    highs = [s.histogram.quantile(0.998) for s in series]
    low, high = min(v for v in lows if v is not None), max(v for v in highs if v is not None)
    start, end = series[0].histogram.low, series[0].histogram.high
    pad = max(0.06 * (high - low), 0.004 * (end - start))
    return max(start, low - pad), min(end, high + pad)


def _outline(shares: npt.NDArray[np.float64], x0: float, step: float, top: float) -> str:
    """Path of a histogram's steps, closed along the axis."""
    base, span = HEIGHT - _BOTTOM, HEIGHT - _BOTTOM - _TOP
    path = [f"M{x0:.1f},{base:.1f}"]
    for i, share in enumerate(shares):
        path.append(f"V{base - span * share / top:.1f}H{x0 + (i + 1) * step:.1f}")
    return "".join(path) + f"V{base:.1f}Z"


def histogram_chart(series: list[Series], *, title: str, axis: str) -> Markup:
    """Draw one or two distributions over each other, with their medians.

    Args:
        series: what to draw; those without values are left out.
        title: what a screen reader says first.
        axis: title of the horizontal axis, with its unit.

    Returns:
        An `<svg>` element, or a sentence when there is nothing to draw.
    """
    series = [s for s in series if s.histogram.n]
    if not series:
        return Markup('<p class="nothing">not measured</p>')
    low, high = _window(series)
    n = max(s.histogram.n for s in series)
    bins = int(np.clip(2 * round(math.sqrt(n)), 10, 44))
    all_shares = [s.histogram.shares(low=low, high=high, bins=bins) for s in series]
    top = max(float(s.max()) for s in all_shares) * 1.05
    span = WIDTH - _LEFT - _RIGHT
    parts = _axes(low, high, top, axis)
    for s, shares in zip(series, all_shares, strict=True):
        path = _outline(shares, _LEFT, span / bins, top)
        parts.append(f'<path class="area {s.css}" d="{path}"/>')
    parts += _medians(series, low, high)
    told = "; ".join(f"{s.label}: median {number(s.histogram.quantile(0.5))}" for s in series)
    label = escape(f"{title}. {told}")
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        + "".join(parts)
        + "</svg>"
    )


def _axes(low: float, high: float, top: float, axis: str) -> list[str]:
    base, span = HEIGHT - _BOTTOM, WIDTH - _LEFT - _RIGHT
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>']
    for tick in nice_ticks(low, high):
        x = _LEFT + span * (tick - low) / (high - low)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{base}" y2="{base + 4}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{base + 15}">{tick:g}</text>')
    for share in nice_ticks(0, top, count=2)[1:]:
        y = base - (base - _TOP) * share / top
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick side" x="{_LEFT - 5}" y="{y + 3.5:.1f}">{100 * share:g} %</text>'
        )
    middle = _LEFT + span / 2
    parts.append(
        f'<text class="title" transform="translate(11 {(base + _TOP) / 2}) rotate(-90)">'
        "share of images</text>"
    )
    parts.append(f'<text class="title" x="{middle}" y="{HEIGHT - 7}">{escape(axis)}</text>')
    return parts


def _medians(series: list[Series], low: float, high: float) -> list[str]:
    """Vertical lines at the medians with their numbers, kept from running into each other."""
    span, base = WIDTH - _LEFT - _RIGHT, HEIGHT - _BOTTOM
    medians = [s.histogram.quantile(0.5) or 0.0 for s in series]
    places = [_LEFT + span * (m - low) / (high - low) for m in medians]
    texts = list(places)
    room = _DIGIT * max(len(number(m)) for m in medians) + 8
    edges = _LEFT + room / 2 - 16, WIDTH - _RIGHT - room / 2 + 10
    if len(texts) == 2 and abs(texts[0] - texts[1]) < room:
        left = 0 if texts[0] <= texts[1] else 1
        middle = min(max(sum(texts) / 2, edges[0] + room / 2), edges[1] - room / 2)
        texts[left], texts[1 - left] = middle - room / 2, middle + room / 2
    parts = []
    for s, median, x, tx in zip(series, medians, places, texts, strict=True):
        tx = min(max(tx, edges[0]), edges[1])
        parts.append(
            f'<line class="median {s.css}" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{base}"/>'
            f'<text class="value {s.css}" x="{tx:.1f}" y="{_TOP - 10}">{number(median)}</text>'
        )
    return parts


def stacked_bar(parts: list[tuple[str, str, float]], *, title: str, height: int = 14) -> Markup:
    """Draw shares of a whole as one bar.

    Args:
        parts: `(CSS class, label, amount)`; amounts of zero are left out.
        title: what a screen reader says first.
        height: of the bar in units of a width of 1000.

    Returns:
        An `<svg>` element that stretches to its container's width.
    """
    total = sum(amount for _, _, amount in parts) or 1.0
    told = ", ".join(f"{label} {100 * a / total:.1f} %" for _, label, a in parts if a)
    x, drawn = 0.0, []
    for css, _, amount in parts:
        width = 1000 * amount / total
        if width > 0:
            drawn.append(
                f'<rect class="{css}" x="{x:.2f}" y="0" width="{max(width - 2, 1):.2f}" '
                f'height="{height}"/>'
            )
        x += width
    return Markup(
        f'<svg class="bar" viewBox="0 0 1000 {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}: {escape(told)}">' + "".join(drawn) + "</svg>"
    )


def rank_bar(rank: float | None, *, title: str) -> Markup:
    """Draw the place of one value among all, from the lowest to the highest.

    Args:
        rank: share of the images with a lower value, 0..1; None draws nothing.
        title: what a screen reader says first.

    Returns:
        An `<svg>` element: a line with its quarters marked, and a dot.
    """
    if rank is None:
        return Markup("")
    x = 6 + 188 * rank
    marks = "".join(
        f'<line class="axis" x1="{6 + 47 * q}" x2="{6 + 47 * q}" y1="5" y2="11"/>' for q in range(5)
    )
    label = f"{title}: higher than {100 * rank:.0f} % of the images"
    return Markup(
        f'<svg class="rank" viewBox="0 0 200 16" role="img" aria-label="{escape(label)}">'
        f'<line class="axis" x1="6" x2="194" y1="8" y2="8"/>{marks}'
        f'<circle class="dot" cx="{x:.1f}" cy="8" r="5"/></svg>'
    )
