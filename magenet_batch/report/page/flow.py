"""The flow of grades, from the archive as it came to what is delivered, as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup, escape

from magenet_batch.records.vocabulary import GRADES
from magenet_batch.report.words import percent

WIDTH, HEIGHT = 480, 280
_TOP, _BAR, _GAP = 40, 16, 18
_LEFT, _RIGHT = 104, 104
_ROOM = HEIGHT - _TOP - 8


def _spans(amounts: Mapping[str, int], scale: float) -> dict[str, tuple[float, float]]:
    """Top and height of each grade's bar, centred; grades without images have none."""
    present = [grade for grade in GRADES if amounts[grade]]
    used = scale * sum(amounts.values()) + _GAP * (len(present) - 1)
    y = _TOP + (_ROOM - used) / 2
    spans = {}
    for grade in present:
        spans[grade] = (y, scale * amounts[grade])
        y += scale * amounts[grade] + _GAP
    return spans


def _ribbon(x0: float, x1: float, y0: float, y1: float, height: float) -> str:
    """Path of one ribbon from (x0, y0) to (x1, y1), as high at both ends."""
    middle = (x0 + x1) / 2
    return (
        f"M{x0},{y0:.1f}C{middle},{y0:.1f} {middle},{y1:.1f} {x1},{y1:.1f}"
        f"V{y1 + height:.1f}C{middle},{y1 + height:.1f} {middle},{y0 + height:.1f} "
        f"{x0},{y0 + height:.1f}Z"
    )


def _bars(
    spans: Mapping[str, tuple[float, float]], amounts: Mapping[str, int], total: int, *, left: bool
) -> list[str]:
    """Bars of one side with their names, numbers and shares."""
    x = _LEFT if left else WIDTH - _RIGHT - _BAR
    text_x, css = (x - 10, "side") if left else (x + _BAR + 10, "start")
    parts = []
    lowest = 0.0
    for grade, (y, height) in spans.items():
        # labels of thin bars are kept from running into each other
        middle = max(y + height / 2, lowest + 34)
        lowest = middle
        parts.append(
            f'<rect class="grade {grade}" x="{x}" y="{y:.1f}" width="{_BAR}" '
            f'height="{max(height, 1.5):.1f}" rx="2"/>'
            f'<text class="name {css}" x="{text_x}" y="{middle - 2:.1f}">{grade}</text>'
            f'<text class="count {css}" x="{text_x}" y="{middle + 13:.1f}">'
            f"{amounts[grade]:,} · {escape(percent(amounts[grade] / total))}</text>"
        )
    return parts


def flow_chart(flow: Mapping[tuple[str, str], int]) -> Markup:
    """Draw how many images went from which grade to which.

    Args:
        flow: (grade before, grade as delivered) -> images.

    Returns:
        An `<svg>` element; nothing when no image has both grades.
    """
    total = sum(flow.values())
    if not total:
        return Markup("")
    before = {g: sum(n for (b, _), n in flow.items() if b == g) for g in GRADES}
    after = {g: sum(n for (_, a), n in flow.items() if a == g) for g in GRADES}
    # both sides share one scale, that of the side with more gaps, so that ribbons keep their height
    gaps = max(sum(map(bool, side.values())) for side in (before, after)) - 1
    scale = (_ROOM - _GAP * gaps) / total
    left, right = _spans(before, scale), _spans(after, scale)
    x0, x1 = _LEFT + _BAR, WIDTH - _RIGHT - _BAR
    out, into = {g: y for g, (y, _) in left.items()}, {g: y for g, (y, _) in right.items()}
    parts = [
        f'<text class="title" x="{_LEFT + _BAR / 2}" y="16">as it came</text>'
        f'<text class="title" x="{WIDTH - _RIGHT - _BAR / 2}" y="16">as delivered</text>'
    ]
    for b in GRADES:
        for a in GRADES:
            count = flow.get((b, a), 0)
            if not count:
                continue
            height = max(scale * count, 0.8)
            path = _ribbon(x0, x1, out[b], into[a], height)
            parts.append(f'<path class="ribbon {a}{" same" if a == b else ""}" d="{path}"/>')
            out[b] += scale * count
            into[a] += scale * count
    parts += _bars(left, before, total, left=True) + _bars(right, after, total, left=False)
    told = ", ".join(
        f"{flow[b, a]:,} from {b} to {a}" for b in GRADES for a in GRADES if flow.get((b, a))
    )
    label = escape(f"Grades as the images came and as they are delivered: {told}")
    return Markup(
        f'<svg class="flow" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        + "".join(parts)
        + "</svg>"
    )
