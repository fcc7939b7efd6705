"""Makes a report: reads the rows, writes the page or the text."""

from __future__ import annotations

import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from magenet_batch.errors import StorageError, UsageError, nearest
from magenet_batch.report.markdown import to_markdown
from magenet_batch.report.page.gallery import make_gallery
from magenet_batch.report.page.html import PAGE, environment, to_html
from magenet_batch.report.text import to_json, to_text, write_csv
from magenet_batch.report.totals.collect import collect
from magenet_batch.report.totals.totals import REVIEW_ROWS, ReportTotals
from magenet_batch.storage import Location, draft_of

FORMATS = ("html", "json", "csv", "md", "text")


def build_report(
    out: Location, *, format: str = "html", seed: int = 0, review: int = REVIEW_ROWS
) -> str:
    """Make a report in memory.

    Args:
        out: the output folder of a job.
        format: one of `FORMATS`.
        seed: of the random selections.
        review: maximum number of images to review on the page.

    Returns:
        The report's text.

    Raises:
        UsageError: no such format, or the folder holds no rows.
    """
    if format not in FORMATS:
        raise UsageError(f"No report format is called '{format}': {nearest(format, FORMATS)}.")
    if format == "csv":
        text = io.StringIO()
        write_csv(out, text)
        return text.getvalue()
    found = collect(out, seed=seed, review=review)
    if format == "json":
        return to_json(found)
    if format == "md":
        return to_markdown(found)
    if format == "text":
        return to_text(found)
    return _page(found)


def _page(found: ReportTotals, *, pages: Mapping[str, str] | None = None) -> str:
    """The page of what was collected; its template is compiled while pictures are decoded."""
    with ThreadPoolExecutor(1) as beside:
        beside.submit(environment().get_template, PAGE)
        gallery = make_gallery(found, pages=pages)
    return to_html(found, gallery, pages=pages)


def write_report(
    out: Location,
    *,
    format: str = "html",
    target: Location | None = None,
    individual: int = 0,
    review: int = REVIEW_ROWS,
) -> Location:
    """Make a report and write it whole or not at all.

    Args:
        out: the output folder of a job.
        format: one of `FORMATS`.
        target: where to write; `OUT/report.<format>` when not given.
        individual: maximum number of flagged images with a page of their own, in a folder beside
            the report and named like it.
        review: maximum number of images to review on the page.

    Returns:
        Where it was written.

    Raises:
        UsageError: no such format, pages without HTML, or the folder holds no rows.
        StorageError: the report cannot be written there.
    """
    if individual and format != "html":
        raise UsageError("--individual writes pages for --format html only. Leave one of them out.")
    target = target if target is not None else out / f"report.{format}"
    try:
        with draft_of(target) as draft:
            if format == "csv":
                with draft.open("w", encoding="utf-8", newline="") as stream:
                    write_csv(out, stream)
            elif individual:
                draft.write_text(
                    _with_pages(out, target, pages=individual, review=review), encoding="utf-8"
                )
            else:
                text = build_report(out, format=format, review=review)
                draft.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"{target}: the report cannot be written: {error.strerror or error}. "
            "Choose another place with -o FILE."
        ) from error
    return target


def pages_folder(target: Location) -> Location:
    """Where the pages of single images lie: beside the report, named like it without its end."""
    return target.with_suffix("") if target.suffix else target.with_name(f"{target.name}-pages")


def _with_pages(out: Location, target: Location, *, pages: int, review: int) -> str:
    """Write the pages of flagged images; returns the main page, which links to them."""
    from magenet_batch.report.page.individual import addresses, write_pages

    found = collect(out, reviewed=pages, review=review)
    folder = pages_folder(target)
    links = {i: quote(a) for i, a in addresses(found, folder.name).items()}
    write_pages(found, folder, report=quote(target.name))
    return _page(found, pages=links)
