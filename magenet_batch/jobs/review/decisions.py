"""Decisions of a reviewer, from a CSV file as the report exports it."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from magenet_batch.errors import UsageError, nearest
from magenet_batch.records.vocabulary import DECISIONS

UNDO = "undo"
CHOICES = (*DECISIONS, UNDO)
REQUIRED = ("image_id", "decision")
SHOWN = 10
NAME_MAX = 100


class Decision(NamedTuple):
    """A decision about one image.

    Attributes:
        image_id: of the image.
        decision: `deliver`, `withhold` or `undo`.
        reviewer: who decided.
        when: it was decided, ISO 8601.
    """

    image_id: str
    decision: str
    reviewer: str
    when: str


@dataclass(frozen=True)
class Defaults:
    """What stands for what a file does not say.

    Attributes:
        job: id of the job that decisions are about.
        reviewer: who decided.
        when: now, ISO 8601.
    """

    job: str
    reviewer: str
    when: str


def read_decisions(
    content: bytes, name: str, *, known: Callable[[str], bool], defaults: Defaults
) -> list[Decision]:
    """Read decisions.

    Args:
        content: of the CSV file: columns `image_id` and `decision`, and where they are there `job`,
            `reviewer` and `decided`. Rows without a decision are passed over. Separators may be
            commas or, as some spreadsheet programs save them, semicolons.
        name: of the file, for errors.
        known: tells whether an image with an id is in the job.
        defaults: for what the file leaves out.

    Returns:
        One decision per image, in the order of the file.

    Raises:
        UsageError: something in the file is wrong; nothing is to be done then.
    """
    rows = list(_rows(content, name))
    wrong: list[str] = []
    found: dict[str, Decision] = {}
    lines: dict[str, int] = {}
    for line, row in rows:
        said = _text(row, "decision").lower()
        if not said:
            continue
        try:
            image_id = _known_id(row.get("image_id") or "", known)
            if image_id in lines:
                raise ValueError(f"{image_id!r} was decided in line {lines[image_id]} already")
            lines[image_id] = line
            found[image_id] = _decision(image_id, said, row, defaults)
        except ValueError as error:
            wrong.append(f"  line {line}: {error}")
    if wrong:
        more = [f"  and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
        raise UsageError(
            "\n".join([f"{name} was not applied, nothing is changed:", *wrong[:SHOWN], *more])
        )
    return list(found.values())


def _decision(image_id: str, said: str, row: Mapping[str, Any], defaults: Defaults) -> Decision:
    if said not in CHOICES:
        raise ValueError(f"no decision is called {said!r}; {nearest(said, CHOICES)}")
    job = _text(row, "job")
    if job and job != defaults.job:
        raise ValueError(
            f"it is about the job {job}, this one is {defaults.job}: give the output folder "
            "of the report that the file was exported from"
        )
    when = _text(row, "decided") or defaults.when
    try:
        datetime.fromisoformat(when.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"{when!r} is no time; write it as 2026-01-31T12:00:00Z") from None
    return Decision(image_id, said, _text(row, "reviewer") or defaults.reviewer, when)


def _known_id(text: str, known: Callable[[str], bool]) -> str:
    """The image that a cell names; an apostrophe may keep a spreadsheet from taking it a formula.

    Raises:
        ValueError: there is no such image, or it could be either of two.
    """
    bare = text[1:] if text.startswith("'") else text
    options = [one for one in dict.fromkeys((text, bare)) if one and known(one)]
    if len(options) > 1:
        raise ValueError(f"{text!r} could be any of {' and '.join(map(repr, options))}")
    if not options:
        raise ValueError(f"no image of this job is called {text!r}")
    return options[0]


def _rows(content: bytes, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of the file with their line numbers."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is no text in UTF-8. Save it as CSV in UTF-8.") from error
    head = text.split("\n", 1)[0]
    separator = ";" if head.count(";") > head.count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        columns = [str(column).strip().lower() for column in reader.fieldnames or []]
        reader.fieldnames = columns
        missing = [column for column in REQUIRED if column not in columns]
        if missing:
            raise UsageError(
                f"{name} has no column {' and no '.join(missing)}. Export it from the report, "
                f"or write a CSV file that begins with: {','.join(REQUIRED)}."
            )
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise UsageError(f"{name} is no CSV file (line {reader.line_num}: {error}).") from error


def _text(row: Mapping[str, Any], column: str) -> str:
    """A cell as one line of printable text."""
    value = row.get(column)
    value = value if isinstance(value, str) else ""
    plain = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in value)
    return " ".join(plain.split())[:NAME_MAX]
