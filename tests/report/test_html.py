import html.parser
import json
import re

import pytest
from report_fakes import HOSTILE, make_rows, write_out

from magenet_batch.errors import JobError, UsageError
from magenet_batch.report import build
from magenet_batch.report.build import build_report, write_report
from magenet_batch.report.html import TABLE_COLUMNS, json_block
from magenet_batch.report.text import visible


class Page(html.parser.HTMLParser):
    """Collects what a browser would load, run and show."""

    def __init__(self, text):
        super().__init__()
        self.urls, self.scripts, self.images, self.labels, self.ids = [], [], [], [], set()
        self.tags, self.text = [], ""
        self._script = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.urls += [attrs[a] for a in ("src", "href", "action", "data", "poster") if a in attrs]
        self.ids.add(attrs.get("id"))
        if tag == "img":
            self.images.append(attrs)
        if tag == "input":
            self.labels.append(attrs)
        self._script = attrs if tag == "script" else None

    def handle_data(self, data):
        if self._script is not None:
            self.scripts.append((self._script, data))
        else:
            self.text += data

    def handle_endtag(self, tag):
        self._script = None


@pytest.fixture(name="page")
def page_of_out(out):
    return Page(build_report(out))


def test_nothing_is_loaded_from_anywhere(out):
    text = build_report(out)
    page = Page(text)
    assert all(url.startswith(("data:", "#")) for url in page.urls)
    assert "@import" not in text
    assert "default-src 'none'" in text
    outside = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert not outside


def test_gallery_sliders_and_pictures_have_labels(page):
    assert len(page.images) >= 8
    assert all(image["alt"] for image in page.images)
    ranges = [i for i in page.labels if i.get("type") == "range"]
    assert len(ranges) * 2 == len(page.images)
    assert all(r["aria-label"] for r in ranges)


def test_a_hostile_name_is_text(page):
    # one block of data, one script of our own, and nothing that came from a name
    assert len(page.scripts) == 2
    assert visible(HOSTILE) in page.text or visible(HOSTILE) in json.dumps(
        json.loads(page.scripts[0][1]), ensure_ascii=False
    )
    assert "\u202e" not in page.text


def test_the_table_has_every_row(page):
    data = json.loads(page.scripts[0][1])
    assert data["columns"] == [key for key, _ in TABLE_COLUMNS]
    assert len(data["rows"]) == 40
    assert visible(HOSTILE) in [row[0] for row in data["rows"]]
    assert all(len(row) == len(TABLE_COLUMNS) for row in data["rows"])


def test_sections_and_numbers_are_there(page):
    for section in ("summary", "gallery", "quality", "fidelity", "groups", "failures", "images"):
        assert section in page.ids
    assert "32 of 40 images came through." in page.text
    assert "ends early <b>" in page.text
    assert "magenet enhance /archive" in page.text
    assert "Not a medical device" in page.text
    for landmark in ("main", "header", "nav", "footer"):
        assert page.tags.count(landmark) == 1


def test_files_that_are_gone_leave_a_placeholder(tmp_path):
    rows = make_rows(10, source=str(tmp_path / "gone.jpg"), output="images/gone.jpg")
    page = Page(build_report(write_out(tmp_path / "out", rows)))
    assert page.images == []
    assert "Neither the original nor the enhanced file is here any more." in page.text


def test_an_output_outside_of_the_folder_is_never_shown(tmp_path, out):
    rows = make_rows(10, source=str(tmp_path / "gone.jpg"), output="../source.jpg")
    assert (out / "../source.jpg").is_file()
    page = Page(build_report(write_out(tmp_path / "other", rows)))
    assert page.images == []


@pytest.mark.parametrize("status", ["kept", "failed"])
def test_a_job_that_enhanced_nothing_has_a_page(tmp_path, status):
    rows = [r for r in make_rows(20) if r["status"] == status]
    page = Page(build_report(write_out(tmp_path / "out", rows, run=False)))
    assert "nothing to compare" in page.text


def test_a_job_without_images_has_a_page(tmp_path):
    import pyarrow.parquet as pq

    from magenet_batch.schema import row_schema

    (tmp_path / "rows").mkdir()
    pq.write_table(row_schema().empty_table(), tmp_path / "rows" / "part-000000.parquet")
    assert "No images yet." in Page(build_report(tmp_path)).text


def test_json_inside_a_script_cannot_end_it():
    text = json_block(["</script><!--", "\u2028", "&amp;"])
    assert "<" not in text
    assert json.loads(text) == ["</script><!--", "\u2028", "&amp;"]


def test_an_unknown_format_is_explained(out):
    with pytest.raises(UsageError, match="did you mean 'html'"):
        build_report(out, format="htm")


def test_a_report_that_cannot_be_written_leaves_nothing(out, tmp_path, monkeypatch):
    with pytest.raises(JobError, match="-o FILE"):
        write_report(out, target=tmp_path / "no" / "such" / "report.html")

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build.Path, "replace", fail)
    with pytest.raises(JobError, match="No space left"):
        write_report(out)
    assert not list(out.glob("*report.html*"))
    assert not list(out.glob(".*tmp"))
