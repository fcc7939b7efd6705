"""Decisions are read as they were meant, or refused with the line that is wrong."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.errors import UsageError
from magenet_batch.jobs.review.decisions import CHOICES, Defaults, read_decisions
from magenet_batch.report.text import harmless

DEFAULTS = Defaults(job="0123456789ab", reviewer="login", when="2026-01-01T00:00:00+00:00")
KNOWN = {"a.jpg", "b/c.jpg", "=1+1.jpg", "d.jpg"}


def read(text, known=KNOWN):
    content = text if isinstance(text, bytes) else text.encode()
    return read_decisions(content, "x.csv", known=known.__contains__, defaults=DEFAULTS)


def test_what_the_page_exports_is_read():
    found = read(
        "job,image_id,decision,reviewer,decided\r\n"
        "0123456789ab,a.jpg,deliver,Dr. A,2026-02-03T04:05:06.789Z\r\n"
        "0123456789ab,'=1+1.jpg,withhold,,2026-02-03T04:05:07Z\r\n"
    )
    assert [tuple(d) for d in found] == [
        ("a.jpg", "deliver", "Dr. A", "2026-02-03T04:05:06.789Z"),
        ("=1+1.jpg", "withhold", "login", "2026-02-03T04:05:07Z"),
    ]


def test_what_a_person_writes_is_read():
    found = read("\ufeffImage_ID;Decision\nb/c.jpg;Deliver\n\na.jpg;\nd.jpg; undo \n")
    assert [(d.image_id, d.decision) for d in found] == [("b/c.jpg", "deliver"), ("d.jpg", "undo")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column image_id and no decision"),
        ("image_id,what\na.jpg,deliver\n", "has no column decision"),
        ("image_id,decision\nz.jpg,deliver\n", "line 2: no image of this job is called 'z.jpg'"),
        ("image_id,decision\n,deliver\n", "line 2: no image of this job is called ''"),
        ("image_id,decision\na.jpg,accept\n", "line 2: no decision is called 'accept'"),
        ("image_id,decision\na.jpg,deliver\na.jpg,undo\n", "line 3: 'a.jpg' was decided in line 2"),
        ("job,image_id,decision\nffff,a.jpg,deliver\n", "line 2: it is about the job ffff"),
        ("image_id,decision,decided\na.jpg,undo,soon\n", "line 2: 'soon' is no time"),
        (b"image_id,decision\n\xff\xfe,undo\n", "is no text in UTF-8"),
        ('image_id,decision\n"a.jpg,undo\n', "is no CSV file"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(text, said):
    with pytest.raises(UsageError) as refused:
        read(text)
    assert said in str(refused.value)


def test_many_errors_are_told_briefly():
    with pytest.raises(UsageError, match="and 5 more"):
        read("image_id,decision\n" + "".join(f"{i},deliver\n" for i in range(15)))


def test_a_name_that_could_be_two_images_is_refused():
    with pytest.raises(UsageError, match="could be any of"):
        read("image_id,decision\n'=x,deliver\n", known={"=x", "'=x"})


NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="'\0"), min_size=1, max_size=30
)


@given(st.dictionaries(NAMES, st.sampled_from(CHOICES), max_size=8))
def test_any_name_survives_a_spreadsheet(decided):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["image_id", "decision"])
    writer.writerows([harmless(name), decision] for name, decision in decided.items())
    found = read(out.getvalue(), known=set(decided))
    assert {d.image_id: d.decision for d in found} == decided
