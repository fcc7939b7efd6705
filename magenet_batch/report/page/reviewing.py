"""What a reviewer can decide in the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from magenet_batch.report.page.gallery import Pair
from magenet_batch.report.totals.totals import ReportTotals


@dataclass(frozen=True)
class ReviewList:
    """The images that can be decided about in the page.

    Attributes:
        items: one per image: `id` as in the rows, and what is `recorded`, by which `reviewer`.
        places: image id -> its place among them.
        more: images that wait for a reviewer and are not on the page.
    """

    items: list[dict[str, Any]] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    more: int = 0


NO_REVIEW = ReviewList()


def review_list(found: ReportTotals, pairs: list[Pair]) -> ReviewList:
    """What can be decided about the pictures of a page.

    Args:
        found: the collected rows.
        pairs: of the page, in their order.
    """
    rows = [pair.row for pair in pairs if pair.reviewable]
    items = [
        {"id": row["image_id"], "recorded": row.get("decision"), "reviewer": row.get("reviewer")}
        for row in rows
    ]
    undecided = sum(not row.get("decision") for row in rows)
    return ReviewList(
        items,
        {row["image_id"]: place for place, row in enumerate(rows)},
        more=found.outcome.waiting.total() - undecided,
    )
