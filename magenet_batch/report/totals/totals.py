"""What a report knows of a job: everything that was added up, and the rows that were picked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from magenet_batch.records.outcome import Outcome
from magenet_batch.records.run_info import RunInfo
from magenet_batch.records.schema import FIDELITY_MEASURES, QUALITY_MEASURES, TIMING_COLUMNS, Row
from magenet_batch.records.vocabulary import GRADES
from magenet_batch.report.totals.groups import ByColumn, Folders
from magenet_batch.report.totals.histogram import Histogram
from magenet_batch.report.totals.pick import Top
from magenet_batch.settings import ColourModel
from magenet_batch.storage import Location

TABLE_ROWS = 2_000
PICKS = 8
REVIEW_ROWS = 40
BETTER: dict[str, int] = {
    "sharpness": 1, "contrast": 1, "illumination": 1, "colour_cast": -1, "haze": -1,
    "noise": -1, "clipped": -1,
}  # fmt: skip
"""Quality measure -> +1 when higher is better, -1 when lower is; the others are neither."""
GAIN = ("sharpness", "contrast", "illumination", "haze")
"""Of these, what is added up as the gain of an image, with what its vessels gained in contrast."""
MOST_VESSELS = 2.0
"""Most that vessels count: a contrast that was hardly there can rise many times."""
PICKED_BECAUSE: dict[str, str] = {
    "review": "to review",
    "withheld": "withheld",
    "fell": "grade fell",
    "flagged": "flagged",
    "text": "text in the border",
    "noted": "note on the file",
    "gain": "largest gain",
    "worst": "lowest fidelity",
    "kept": "delivered as it came",
    "poor": "poorest of the measured",
    "random": "random sample",
}
"""Why an image is in the gallery: key -> words."""
PICKED = ("gain", "worst", "kept", "withheld", "poor", "text", "noted", "random")
"""Of these, what the gallery shows a few of; the others are images that wait for a reviewer."""
_ENDS = {"0..1": 1.0, "ratio": 10.0, "log": 1.0}
_LARGEST = 100.0


@dataclass
class Failure:
    """Failed images of one reason: how many, and the first few `(image_id, message)`."""

    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Grades:
    """How the archive was graded, as it came and as it is delivered.

    Attributes:
        before: grade -> images as they came.
        flow: (grade as it came, grade as delivered) -> images that were delivered. What was kept
            is delivered with the grade it came with.
        changed: the same, enhanced images alone.
    """

    before: Counter[str] = field(default_factory=Counter)
    flow: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)

    def came(self, grade: str) -> int:
        """Number of delivered images that came with a grade."""
        return sum(count for (before, _), count in self.flow.items() if before == grade)

    def delivered(self, grade: str) -> int:
        """Number of images that are delivered with a grade."""
        return sum(count for (_, after), count in self.flow.items() if after == grade)

    def moved(self) -> tuple[int, int]:
        """Number of delivered images with a better grade than before, and with a worse one."""
        place = {grade: index for index, grade in enumerate(GRADES)}
        steps = [(place[b] - place[a], count) for (b, a), count in self.flow.items()]
        return sum(c for s, c in steps if s > 0), sum(c for s, c in steps if s < 0)


def _unit_histograms() -> dict[str, Histogram]:
    return {name: Histogram(low=0, high=1) for name in QUALITY_MEASURES}


@dataclass
class ReportTotals:
    """All that was added up.

    Attributes:
        out: the job's output folder.
        run: how the job was run.
        images: number of rows.
        outcome: what became of the archive, in the words and counts of every other command.
        flags: flag -> rows.
        grades: grades before and after.
        bytes: size of all sources.
        megapixels: of all images that could be read.
        seconds: timing column -> its distribution.
        before: quality measure -> distribution before, over enhanced images; over all measured
            ones when nothing was enhanced.
        after: quality measure -> distribution after, over enhanced images.
        all_before: quality measure -> distribution before, over all measured images.
        better: quality measure -> (images that got better, images with both values).
        fidelity: fidelity measure -> distribution.
        folders: totals per folder.
        columns: totals per value of each manifest column.
        failures: reason -> what failed.
        weights: (name, hash) -> rows.
        versions: version -> rows.
        formats: format -> rows.
        policies: policy (JSON text) -> rows.
        picks: one of `PICKED` -> selected rows for the gallery.
        table: rows for the table, failed and flagged ones first to be kept.
        reviewed: flagged rows for pages of their own, those with most flags first to be kept.
        waiting: rows that a reviewer can decide in the page: withheld ones and flagged ones.
    """

    out: Location
    run: RunInfo
    images: int = 0
    outcome: Outcome = field(default_factory=Outcome)
    flags: Counter[str] = field(default_factory=Counter)
    grades: Grades = field(default_factory=Grades)
    bytes: int = 0
    megapixels: float = 0.0
    seconds: dict[str, Histogram] = field(
        default_factory=lambda: {n: Histogram(low=0, high=120) for n in TIMING_COLUMNS}
    )
    before: dict[str, Histogram] = field(default_factory=_unit_histograms)
    after: dict[str, Histogram] = field(default_factory=_unit_histograms)
    all_before: dict[str, Histogram] = field(default_factory=_unit_histograms)
    better: dict[str, tuple[int, int]] = field(
        default_factory=lambda: dict.fromkeys(QUALITY_MEASURES, (0, 0))
    )
    fidelity: dict[str, Histogram] = field(
        default_factory=lambda: {
            name: Histogram(low=0, high=_ENDS.get(unit, _LARGEST))
            for name, (unit, _) in FIDELITY_MEASURES.items()
        }
    )
    folders: Folders = field(default_factory=Folders)
    columns: list[ByColumn] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)
    weights: Counter[tuple[str, str]] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    policies: Counter[str] = field(default_factory=Counter)
    picks: dict[str, Top] = field(default_factory=lambda: {why: Top(PICKS) for why in PICKED})
    table: Top = field(default_factory=lambda: Top(TABLE_ROWS))
    reviewed: Top = field(default_factory=lambda: Top(0))
    waiting: Top = field(default_factory=lambda: Top(REVIEW_ROWS))

    @property
    def assessed_only(self) -> bool:
        """Whether nothing was enhanced, because nothing was to be."""
        return self.outcome.assessed_only

    @property
    def status(self) -> Counter[str]:
        """Status -> rows."""
        return self.outcome.by_status

    @property
    def flagged(self) -> int:
        """Rows with at least one flag."""
        return self.outcome.flagged

    @property
    def title(self) -> str:
        """The title of its report."""
        return "Quality report" if self.assessed_only else "Enhancement report"

    def table_rows(self) -> list[Row]:
        """The rows of the table, in order of their ids."""
        return sorted(self.table.rows(), key=lambda r: r["image_id"] or "")

    @property
    def page(self) -> int | None:
        """Which picture the job took from files that hold several, None for the only one."""
        page = self.run.options.get("page")
        return page if isinstance(page, int) and page > 0 else None

    @property
    def colour_model(self) -> ColourModel | None:
        """What the job took the colours of DICOM files for, None for what their label says."""
        models: dict[Any, ColourModel] = {"rgb": "rgb", "ybr": "ybr"}
        model = self.run.options.get("colour_model")
        return models.get(model) if isinstance(model, str) else None
