import re

import pytest
from report_fakes import HOSTILE, make_rows, write_out

from magenet_batch.errors import UsageError
from magenet_batch.report.build import pages_folder, write_report
from magenet_batch.report.page.individual import page_name
from magenet_batch.report.totals.collect import collect
from magenet_batch.report.words import visible


def test_each_flagged_image_has_a_page_that_the_report_links(out):
    text = write_report(out, individual=100).read_text(encoding="utf-8")
    flagged = [r["image_id"] for r in collect(out, reviewed=100).reviewed.rows()]
    assert len(flagged) == 5
    assert HOSTILE in flagged
    for image_id in flagged:
        page = (out / "report" / page_name(image_id)).read_text(encoding="utf-8")
        assert f"report/{page_name(image_id)}" in text
        assert page.count("<script") == 1
        assert 'href="../report.html#gallery"' in page
    hostile = (out / "report" / page_name(HOSTILE)).read_text(encoding="utf-8")
    assert "\u202e" not in hostile
    assert "&lt;script&gt;" in hostile
    assert visible("\u202e") in hostile


def test_the_page_tells_the_place_in_the_archive(tmp_path):
    rows = make_rows(100)
    for i, row in enumerate(rows):
        row |= {"status": "enhanced", "fidelity": i / 100 + 0.005, "flags": []}
    rows[25]["flags"] = ["low_fidelity"]
    out = write_out(tmp_path / "out", rows)
    write_report(out, individual=5)
    (page,) = (out / "report").iterdir()
    text = page.read_text(encoding="utf-8")
    place = re.search(r"fidelity: higher than (\d+) % of the images", text)
    assert place and int(place[1]) in (25, 26)
    # columns that are not added up are there too: they are read again
    assert "site_b/2020/img_000025.jpg" in text
    assert "Canon" in text


def test_the_number_of_pages_is_bounded_and_old_ones_are_removed(out):
    write_report(out, individual=100)
    other = out / "report" / "notes.txt"
    other.write_text("mine")
    text = write_report(out, individual=2).read_text(encoding="utf-8")
    pages = {p.name for p in (out / "report").glob("*.html")}
    assert len(pages) == 2
    assert other.read_text() == "mine"
    assert set(re.findall(r"report/([0-9a-f]{20}\.html)", text)) == pages


def test_a_job_without_flags_has_no_pages(tmp_path):
    rows = [row | {"flags": []} for row in make_rows(5)]
    out = write_out(tmp_path / "out", rows)
    assert "Nothing is flagged" in write_report(out, individual=5).read_text(encoding="utf-8")
    assert list((out / "report").iterdir()) == []


def test_pages_lie_beside_a_report_of_another_name(out, tmp_path):
    target = tmp_path / "my report.html"
    text = write_report(out, target=target, individual=1).read_text(encoding="utf-8")
    (page,) = (tmp_path / "my report").iterdir()
    assert f'href="my%20report/{page.name}"' in text
    assert 'href="../my%20report.html#gallery"' in page.read_text(encoding="utf-8")
    assert pages_folder(tmp_path / "plain").name == "plain-pages"


def test_pages_are_for_html_alone(out):
    with pytest.raises(UsageError, match="--individual"):
        write_report(out, format="csv", individual=3)
