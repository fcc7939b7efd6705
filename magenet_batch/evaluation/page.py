"""The evaluation as one HTML page with pictures, and as files for scripts."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from magenet_batch.design import style_sheet
from magenet_batch.evaluation.summary import Sheet
from magenet_batch.evaluation.verdict import Verdict

_THUMBNAIL = 420  # pixels


@dataclass(frozen=True)
class Case:
    """One image to look at.

    Attributes:
        title: why it is shown.
        pictures: (label, (H, W, 3) RGB uint8) in the order in which they are shown.
    """

    title: str
    pictures: tuple[tuple[str, np.ndarray], ...]


def write_page(
    found: Sequence[Sheet],
    cases: Sequence[Case],
    *,
    facts: Sequence[tuple[str, str]],
    said: Verdict,
) -> str:
    """The page as HTML: self-contained, no script, no request.

    Args:
        found: tables.
        cases: pictures of best, median and worst images.
        facts: what was run, as pairs of label and text.
        said: the verdict that the page opens with.
    """
    environment = Environment(
        loader=PackageLoader("magenet_batch.evaluation"), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    shown = [
        {"title": case.title, "pictures": [(label, _uri(p)) for label, p in case.pictures]}
        for case in cases
    ]
    return environment.get_template("page.html").render(
        sheets=found, cases=shown, facts=facts, said=said, css=Markup(style_sheet())
    )


def _uri(pixels: np.ndarray) -> str:
    scale = _THUMBNAIL / max(pixels.shape[:2])
    if scale < 1:
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 85]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
