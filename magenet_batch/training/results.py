"""`results.png`: all curves of a run in one picture, losses and validation over steps."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from magenet_batch.storage import write_atomic
from magenet_batch.training.config import PARTS
from magenet_batch.training.curves import Point, read_points

RESULTS = "results.png"
_PHASES = (*PARTS, "")
"""Folders with curves, in the order of training; the last is that of a network as a whole."""
_NOT_LOSSES = ("gradient", "learning_rate")
_FINE = 2  # drawn at this multiple of the size, then reduced: smooth lines
_WIDTH, _HEIGHT, _COLUMNS = 380, 230, 4  # size of a panel, pixels; panels side by side
_HEADING, _MARGIN = 40, 14
_LEGEND = 170  # pixels to the right of the axes, if there are several lines
_INNER = (52, 30, 14, 28)  # margins of the axes in a panel: left, top, right, bottom
_BINS = 150  # maximum number of points per line; more are averaged
_TAILS = (1.0, 99.0)  # percentiles that must fit the axes
_COLOURS = (
    (31, 87, 164), (200, 80, 30), (60, 140, 70), (140, 70, 160), (190, 150, 20), (90, 90, 90),
    (30, 160, 170), (180, 40, 90), (110, 80, 50), (120, 170, 220),
)  # fmt: skip
_INK, _PALE, _MEASURED = (40, 40, 40), (225, 225, 225), (20, 120, 90)
_LOG_FROM = 20.0  # ratio of maximum to minimum from which an axis is logarithmic

Series = npt.NDArray[np.float64]
"""(N, 2): step and value."""


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: text above the axes.
        lines: steps and values of each line, by name.
        columns: width, in columns of the layout.
        dots: whether to mark every point.
    """

    title: str
    lines: Mapping[str, Series]
    columns: int = 1
    dots: bool = False


def draw_results(folder: Path) -> Path | None:
    """Draw all curves of a run into its folder.

    Args:
        folder: folder of the run.

    Returns:
        Path of the picture; None if there is nothing to draw yet.
    """
    found = {
        phase or "network": panels
        for phase in _PHASES
        if (panels := panels_of(read_points(folder / phase)))
    }
    if not found:
        return None
    path = folder / RESULTS
    data = io.BytesIO()
    picture(found).save(data, "PNG")
    write_atomic(path, data.getvalue())
    return path


def panels_of(points: Sequence[Point]) -> list[Panel]:
    """One panel with all losses, then one for each validation measure."""
    losses = {k: _binned(v) for k, v in _series(points, "train").items() if k not in _NOT_LOSSES}
    panels = (
        [Panel("training (means of neighbouring points; last)", losses, columns=2)]
        if losses
        else []
    )
    measures = _series(points, "validation")
    return panels + [
        Panel(f"validation: {name}", {name: line}, dots=True) for name, line in measures.items()
    ]


def picture(phases: Mapping[str, Sequence[Panel]]) -> Image.Image:
    """Arrange panels in rows below the name of their phase."""
    rows: list[str | list[Panel]] = []
    for name, panels in phases.items():
        rows += [name, *_in_rows(panels)]
    height = sum(_HEADING if isinstance(row, str) else _HEIGHT for row in rows) + _MARGIN
    width = _COLUMNS * _WIDTH + 2 * _MARGIN
    canvas = Image.new("RGB", (width * _FINE, height * _FINE), "white")
    draw = ImageDraw.Draw(canvas)
    top = 0
    for row in rows:
        if isinstance(row, str):
            _text(draw, _MARGIN + 8, top + 14, row, size=19)
            top += _HEADING
            continue
        left = _MARGIN
        for panel in row:
            _draw_panel(draw, panel, left=left, top=top)
            left += panel.columns * _WIDTH
        top += _HEIGHT
    return canvas.resize((width, height), Image.Resampling.LANCZOS)


def _series(points: Sequence[Point], group: str) -> dict[str, Series]:
    """Finite numbers of a group by name, in order of first appearance."""
    found: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        if point.group == group:
            for name, value in point.numbers.items():
                if math.isfinite(value):
                    found.setdefault(name, []).append((point.step, value))
    return {name: np.array(values, np.float64) for name, values in found.items()}


def _binned(line: Series) -> Series:
    if len(line) <= _BINS:
        return line
    return np.stack([part.mean(0) for part in np.array_split(line, _BINS)])


def _in_rows(panels: Sequence[Panel]) -> Iterator[list[Panel]]:
    row: list[Panel] = []
    for panel in panels:
        if sum(p.columns for p in row) + panel.columns > _COLUMNS:
            yield row
            row = []
        row.append(panel)
    yield row


@dataclass(frozen=True)
class _Axes:
    """Maps steps and values to pixels.

    Attributes:
        box: left, top, right, bottom.
        x: minimum and maximum step.
        y: minimum and maximum value, or their logarithms.
        log: whether the value axis is logarithmic.
    """

    box: tuple[float, float, float, float]
    x: tuple[float, float]
    y: tuple[float, float]
    log: bool

    def at(self, step: float, value: float) -> tuple[float, float]:
        left, top, right, bottom = self.box
        if self.log:
            value = math.log10(max(value, 1e-300))
        across = (step - self.x[0]) / max(self.x[1] - self.x[0], 1e-12)
        up = (value - self.y[0]) / max(self.y[1] - self.y[0], 1e-12)
        return left + (right - left) * across, bottom - (bottom - top) * min(max(up, 0.0), 1.0)


def _axes_of(panel: Panel, box: tuple[float, float, float, float]) -> _Axes:
    steps = np.concatenate([line[:, 0] for line in panel.lines.values()])
    values = np.concatenate([line[:, 1] for line in panel.lines.values()])
    low, high = (float(v) for v in np.percentile(values, _TAILS))
    log = low > 0 and high / low > _LOG_FROM
    if log:
        low, high = math.log10(low), math.log10(high)
    space = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return _Axes(box, (0.0, float(steps.max())), (low - space, high + space), log)


def _draw_panel(draw: ImageDraw.ImageDraw, panel: Panel, *, left: int, top: int) -> None:
    inner = _INNER
    legend = _LEGEND if len(panel.lines) > 1 else 0
    box = (
        left + inner[0], top + inner[1],
        left + panel.columns * _WIDTH - inner[2] - legend, top + _HEIGHT - inner[3],
    )  # fmt: skip
    axes = _axes_of(panel, box)
    _draw_frame(draw, axes)
    last = next(iter(panel.lines.values()))[-1, 1]
    title = panel.title if len(panel.lines) > 1 else f"{panel.title} (last {last:.4g})"
    _text(draw, box[0], top + 16, title, size=13)
    for index, (name, line) in enumerate(panel.lines.items()):
        colour = _MEASURED if panel.dots else _COLOURS[index % len(_COLOURS)]
        places = [tuple(_FINE * c for c in axes.at(step, value)) for step, value in line]
        if len(places) > 1:
            draw.line(places, fill=colour, width=round(1.6 * _FINE), joint="curve")
        if panel.dots or len(places) == 1:
            for x, y in places if len(places) <= 60 else places[-1:]:
                reach = 2.4 * _FINE
                draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)
        if legend:
            _text(draw, box[2] + 14, box[1] + 8 + 17 * index, f"{name} {line[-1, 1]:.3g}",
                  size=12, fill=colour)  # fmt: skip


def _draw_frame(draw: ImageDraw.ImageDraw, axes: _Axes) -> None:
    left, top, right, bottom = axes.box
    for value in ticks(*axes.y, log=axes.log):
        _, y = axes.at(axes.x[0], value)
        draw.line([(left * _FINE, y * _FINE), (right * _FINE, y * _FINE)], fill=_PALE, width=_FINE)
        _text(draw, left - 5, y, f"{value:.4g}", size=11, anchor="rm")
    for step in ticks(*axes.x, log=False):
        x, _ = axes.at(step, 1.0)
        _text(draw, x, bottom + 10, _short(step), size=11, anchor="mm")
    corners = [(left, top), (left, bottom), (right, bottom)]
    draw.line([(x * _FINE, y * _FINE) for x, y in corners], fill=_INK, width=_FINE)


def ticks(low: float, high: float, *, log: bool) -> list[float]:
    """About four round numbers between two ends; on a log axis, powers of ten and their triples."""
    if log:
        powers = range(math.floor(low), math.ceil(high) + 1)
        found = [m * 10.0**p for p in powers for m in (1, 3) if low <= math.log10(m) + p <= high]
        return found[:: math.ceil(len(found) / 6)] if found else [10**low]
    rough = max(high - low, 1e-12) / 4
    scale = 10.0 ** math.floor(math.log10(rough))
    size = scale * next(m for m in (1, 2, 5, 10) if m * scale >= rough)
    first, last = math.ceil(low / size), math.floor(high / size)
    return [i * size for i in range(first, last + 1)]


def _short(step: float) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if step >= size:
            return f"{step / size:g}{unit}"
    return f"{step:g}"


def _text(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    text: str,
    *,
    size: int,
    fill: tuple[int, int, int] = _INK,
    anchor: str = "lm",
) -> None:
    draw.text(
        (x * _FINE, y * _FINE), text, fill=fill, font=ImageFont.load_default(size * _FINE),
        anchor=anchor,
    )  # fmt: skip
