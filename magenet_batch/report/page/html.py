"""The report as one self-contained HTML page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from magenet_batch import __version__
from magenet_batch.design import style_sheet, theme_script
from magenet_batch.records.vocabulary import FLAGS_MEAN, GRADES, faults_in_words
from magenet_batch.report import words
from magenet_batch.report.advice import next_steps
from magenet_batch.report.limits import limit_value, passed
from magenet_batch.report.page import views
from magenet_batch.report.page.charts import stacked_bar
from magenet_batch.report.page.flow import flow_chart
from magenet_batch.report.page.gallery import Gallery
from magenet_batch.report.page.reviewing import review_list
from magenet_batch.report.page.table import TEXT, filters, json_block, table_data, table_kinds
from magenet_batch.report.text import speed
from magenet_batch.report.totals.totals import PICKED_BECAUSE, TABLE_ROWS, ReportTotals
from magenet_batch.report.words import visible

PAGE, ASSESSED_PAGE = "page.html", "assess.html"
CHIPS = ("sharpness", "contrast", "illumination", "haze")
"""Quality measures shown under each pair, before and after."""


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """The templates, with everything escaped and the words as filters."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("magenet_batch.report.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("number", "percent", "words", "duration", "size", "moment", "visible", "images",
             "because", "listed", "status_words")  # fmt: skip
    env.filters.update({name: getattr(words, name) for name in names})
    env.filters.update(faults=faults_in_words, passed=passed, limit_value=limit_value,
                       least_fidelity=views.least_fidelity)  # fmt: skip
    env.globals.update(flags_mean=FLAGS_MEAN, chips=CHIPS, why=PICKED_BECAUSE)
    return env


def asset(name: str) -> Markup:
    """A script, to stand inside a page."""
    templates = resources.files("magenet_batch.report.page") / "templates"
    return Markup((templates / name).read_text(encoding="utf-8"))


def _numbers(found: ReportTotals) -> dict[str, Any]:
    """Everything on the page but the pictures and the table."""
    stages = views.stage_parts(found)
    return {
        "headline": found.outcome.headline(),
        **views.verdict(found),
        "steps": next_steps(found),
        "sentences": views.sentences(found),
        "status_bar": views.status_bar(found),
        "grades": GRADES,
        "flow": flow_chart(found.grades.flow),
        "grade_bar": views.grade_bar(found),
        "assessed_only": found.assessed_only,
        "grade_sentence": views.grade_sentence(found),
        "speed": speed(found),
        "stages": stages,
        "stage_rows": views.stage_rows(found),
        "stage_bar": stacked_bar(stages, title="mean time per image") if stages else "",
        "quality": views.quality_charts(found),
        "fidelity": views.fidelity_charts(found),
        "groups": views.group_tables(found),
        "left_out": views.groups_left_out(found),
        "options": views.options(found),
        "best": views.ranking(found.picks["gain"].rows(), measure="gain"),
        "worst": views.ranking(found.picks["worst"].rows(), measure="fidelity"),
        "failures": sorted(found.failures.items(), key=lambda f: -f[1].count),
    }


def to_html(
    found: ReportTotals, gallery: Gallery, *, pages: Mapping[str, str] | None = None
) -> str:
    """Render the page.

    Args:
        found: the collected rows.
        gallery: its pictures.
        pages: image id -> address of the image's own page, relative to this one.

    Returns:
        One HTML document that loads nothing.
    """
    table = table_data(found, pages=pages)
    pairs = gallery.pairs
    kinds = {key for pair in pairs for key in pair.why}
    review = review_list(found, pairs)
    at = {pair.row["image_id"]: i for i, pair in enumerate(pairs, 1)}
    if gallery.lead is not None:
        at[gallery.lead.row["image_id"]] = 0
    scripts = ("viewer.js", "page.js", "review.js")
    return (
        environment()
        .get_template(ASSESSED_PAGE if found.assessed_only else PAGE)
        .render(
            css=Markup(style_sheet()),
            js=Markup(theme_script()) + Markup("").join(asset(name) for name in scripts),
            found=found,
            run=found.run,
            lead=gallery.lead,
            pairs=pairs,
            kinds={key: label for key, label in PICKED_BECAUSE.items() if key in kinds},
            in_gallery=at,
            pages=pages or {},
            review=review,
            review_data=json_block({"job": found.run.id, "items": review.items}),
            out_name=shell_word(str(found.out)),
            table=json_block(table),
            table_kinds=table_kinds(table),
            titles=list(zip(table["columns"], table["titles"], strict=True)),
            text_columns=TEXT,
            filters=filters(found),
            shown=min(found.images, TABLE_ROWS),
            version=__version__,
            **_numbers(found),
        )
    )


def shell_word(name: str) -> str:
    """The last part of the output folder's name, as a command line would be given it."""
    return shlex.quote(visible(name.rstrip("/").rsplit("/", 1)[-1] or name))
