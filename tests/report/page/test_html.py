import html.parser
import json
import re
from pathlib import Path

import pytest
from report_fakes import HOSTILE, make_rows, write_out

from magenet_batch.errors import StorageError, UsageError
from magenet_batch.report.build import build_report, write_report
from magenet_batch.report.page.individual import page_name
from magenet_batch.report.page.table import json_block
from magenet_batch.report.words import visible


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
    # the two empty ones of the enlarged view get theirs from the picture that is enlarged
    pictures = [i for i in page.images if i["class"] not in ("v-one", "v-two")]
    assert len(pictures) >= 8
    assert all(image["alt"] for image in pictures)
    ranges = [i for i in page.labels if i.get("type") == "range"]
    assert all(r["aria-label"] for r in ranges)
    compared = [i for i in pictures if i["class"] == "two"]
    assert len(ranges) == len(compared) + 1
    assert len([i for i in pictures if i["class"] == "changed"]) == len(compared)


def test_a_hostile_name_is_text(page):
    # two blocks of data, one script of our own, and nothing that came from a name
    assert len(page.scripts) == 3
    assert visible(HOSTILE) in page.text or visible(HOSTILE) in json.dumps(
        json.loads(page.scripts[0][1]), ensure_ascii=False
    )
    assert "\u202e" not in page.text


def test_the_table_has_every_row(page):
    data = json.loads(page.scripts[0][1])
    assert len(data["rows"]) == 40
    assert visible(HOSTILE) in [row[0] for row in data["rows"]]
    assert all(len(row) == len(data["columns"]) for row in data["rows"])
    assert data["columns"][-1] == "manifest:camera"
    assert {row[-1] for row in data["rows"]} == {"Topcon", "Canon", "(none)"}


def test_sections_and_numbers_are_there(page):
    for section in ("summary", "gallery", "quality", "fidelity", "groups", "failures", "images"):
        assert section in page.ids
    assert "24 of 40 delivered enhanced; 8 delivered as they came; 8 failed." in page.text
    assert "ends early <b>" in page.text
    assert "magenet enhance /archive" in page.text
    assert "Not a medical device" in page.text
    for landmark in ("main", "header", "nav", "footer"):
        assert page.tags.count(landmark) == 1


def test_files_that_are_gone_leave_a_placeholder(tmp_path):
    rows = make_rows(10, source=str(tmp_path / "gone.jpg"), output="images/gone.jpg")
    page = Page(build_report(write_out(tmp_path / "out", rows)))
    assert [i["class"] for i in page.images] == ["v-one", "v-two"]
    assert "Neither the original nor the enhanced file is here any more." in page.text


def test_an_output_outside_of_the_folder_is_never_shown(tmp_path, out):
    rows = make_rows(10, source=str(tmp_path / "gone.jpg"), output="../source.jpg")
    assert (out / "../source.jpg").is_file()
    page = Page(build_report(write_out(tmp_path / "other", rows)))
    assert [i["class"] for i in page.images] == ["v-one", "v-two"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("kept", ["0 of 4 delivered enhanced; 4 delivered as they came.", "4 already good"]),
        ("assessed", ["All 4 images assessed."]),
        ("failed", ["0 of 4 delivered enhanced; 4 failed.", "nothing to compare"]),
    ],
)
def test_a_job_that_enhanced_nothing_has_a_page(tmp_path, status, said):
    rows = make_rows(20)[3 if status != "failed" else 4 :: 5]
    for row in rows:
        row["status"] = status
        row["output"] = None
    text = build_report(write_out(tmp_path / "out", rows, run=False))
    page = Page(text)
    assert all(sentence in page.text for sentence in said)
    assert "fidelity" not in page.ids
    assert ("grades" in page.ids) == (status != "failed")
    assert ("quality" in page.ids) == (status != "failed")
    assert ("Quality report" in page.text) == (status == "assessed")
    assert 'class="cut"' not in text


def test_a_single_image_has_a_page(tmp_path):
    page = Page(build_report(write_out(tmp_path / "out", make_rows(1), run=False)))
    assert "The one image was delivered enhanced." in page.text
    assert "Neither the original nor the enhanced file is here any more." in page.text


def test_grades_are_drawn_and_counted(out):
    page = Page(build_report(out))
    assert "grades" in page.ids
    assert "8 already good" in page.text
    assert "fidelity min" in page.text  # the policy, in words


def test_without_grades_there_is_no_flow(tmp_path):
    rows = [{k: v for k, v in r.items() if "grade" not in k} for r in make_rows(20)]
    page = Page(build_report(write_out(tmp_path / "out", rows)))
    assert "grades" not in page.ids
    assert "came good" not in page.text


def test_the_jobs_own_evidence_is_shown_and_nothing_outside_of_its_folder(tmp_path, out):
    from PIL import Image

    picture = Image.new("RGB", (60, 20), "red")
    (out / "evidence").mkdir()
    picture.save(out / "evidence" / "a.png")
    picture.save(tmp_path / "outside.png")
    for name, own in (("evidence/a.png", True), ("../outside.png", False)):
        rows = make_rows(1, source=str(tmp_path / "source.jpg"), output="images/a.jpg")
        rows[0]["evidence"] = name
        for old in (out / "rows").iterdir():
            old.unlink()
        write_out(out, rows)
        shown = [i for i in Page(build_report(out)).images if i["class"] == "changed"]
        assert [i["data-measured"] for i in shown] == ["yes" if own else "no"]


def test_colours_of_text_can_be_read_in_light_and_dark():
    from magenet_batch.design import style_sheet

    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    blocks = re.findall(r"\{([^{}]*--bg: #[^{}]*--ink: #[^{}]*)\}", style_sheet())
    assert len(blocks) >= 3  # light, dark by choice, dark by the system
    for block in blocks[:3]:
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})\b", block))
        pairs = [(text, ground) for text in ("ink", "soft", "accent", "flag", "fail")
                 for ground in ("bg", "card")] + [("flag", "flag-wash")]  # fmt: skip
        for text, ground in pairs:
            levels = sorted((light(colours[text]), light(colours[ground])))
            contrast = (levels[1] + 0.05) / (levels[0] + 0.05)
            assert contrast >= 4.5, (text, ground, contrast)


def test_a_job_without_images_has_a_page(tmp_path):
    import pyarrow.parquet as pq

    from magenet_batch.records.schema import row_schema

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
    with pytest.raises(StorageError, match="-o FILE"):
        write_report(out, target=tmp_path / "no" / "such" / "report.html")

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageError, match="No space left"):
        write_report(out)
    assert not list(out.glob("*report.html*"))
    assert not list(out.glob(".*tmp"))


def test_what_was_wrong_is_said_in_words(tmp_path):
    from magenet_batch.report.page.html import environment

    template = environment().from_string("{{ row|faults }}")
    row = {"estimated_blur": 2.0, "estimated_veil": 0.2}
    assert template.render(row=row) == "soft focus and a veil"


NOTES = (
    "its colours look like YCbCr labelled as RGB: check, and use --colour-model ybr",
    "its colour profile is GRAY, not RGB, and was left out; <script>\u202e</script>",
)


def noted_job(out):
    for old in (out / "rows").iterdir():
        old.unlink()
    rows = make_rows(10, source=str(out.parent / "source.jpg"), output="images/a.jpg")
    rows[0] |= {"decoder_note": NOTES[0], "flags": ["low_agreement"]}
    rows[1] |= {"decoder_note": NOTES[1], "flags": []}
    rows[2] |= {"decoder_note": "", "flags": []}
    rows[4] |= {"decoder_note": NOTES[0]}  # failed
    return write_out(out, rows)


def test_notes_on_files_are_shown_and_counted(out):
    job = noted_job(out)
    page = Page(build_report(job))
    data = json.loads(page.scripts[0][1])
    for note in NOTES:
        assert f"File: {visible(note)}" in page.text, "on the picture's card"
    assert "3 with a note about the file." in page.text
    assert "\u202e" not in page.text and len(page.scripts) == 3, "a note is text"
    said = {row[0]: row[data["columns"].index("notes")] for row in data["rows"]}
    assert sum("file: its colour" in text for text in said.values()) == 3
    assert sum("noted" in kinds for kinds in data["kinds"]) == 3
    assert '<option value="noted">note on the file</option>' in build_report(job)


@pytest.mark.parametrize("format", ["json", "md", "text", "csv"])
def test_every_format_tells_of_notes_on_files(out, format):
    text = build_report(noted_job(out), format=format)
    if format == "json":
        assert json.loads(text)["noted"] == 3
    elif format == "csv":
        assert text.count(NOTES[0]) == 2 and "decoder_note" in text.splitlines()[0]
    else:
        assert "3 with a note about the file." in text


def test_the_page_of_an_image_tells_the_note_on_its_file(out):
    write_report(noted_job(out), individual=5)
    page = out / "report" / page_name("site_a/2019/img_000000.jpg")
    plain = page.read_text(encoding="utf-8").split('<details class="experts"')[0]
    assert f"File: <bdi>{NOTES[0]}</bdi>." in plain


def test_without_notes_nothing_is_said_of_them(out):
    text = build_report(out)
    assert "with a note about" not in text and "File: <bdi>" not in text
    assert 'value="noted"' not in text


def test_text_outside_the_field_of_view_is_shown_and_counted(out):
    said = "Outside the field of view: what looks like text. It may name the patient."
    assert said not in build_report(out)
    for old in (out / "rows").iterdir():
        old.unlink()
    rows = make_rows(20, source=str(out.parent / "source.jpg"), output="images/a.jpg")
    for row in rows:
        row["burned_in_text"] = 0
    rows[3] |= {"burned_in_text": 9}
    rows[6] |= {"burned_in_text": 12, "flags": ["low_agreement"]}
    rows[7] |= {"burned_in_text": None}
    page = Page(build_report(write_out(out, rows)))
    assert page.text.count(said) == 2
    assert "2 with what looks like text outside the field of view." in page.text
    assert "Look at 2 images before you share them" in page.text
    data = json.loads(page.scripts[0][1])
    assert sum("text" in kinds for kinds in data["kinds"]) == 2
    assert sum("text in the border" in row[data["columns"].index("notes")]
               for row in data["rows"]) == 2  # fmt: skip
    found = json.loads(build_report(out, format="json"))
    assert found["burned_in_text"] == 2
    (step,) = [step for step in found["next"] if step["what"] == "text"]
    assert set(step["images"]) == {rows[3]["image_id"], rows[6]["image_id"]}
    for format in ("md", "text"):
        assert "2 with what looks like text" in build_report(out, format=format)
    write_report(out, individual=5)
    one = (out / "report" / page_name(rows[6]["image_id"])).read_text(encoding="utf-8")
    assert said in one


def test_a_picture_says_how_far_its_vessels_stand_out(tmp_path):
    rows = [row | {"flags": []} for row in make_rows(6)]
    for row in rows:
        row["vessel_contrast"] = 1.384 if row["status"] == "enhanced" else None
    text = Page(build_report(write_out(tmp_path / "out", rows))).text
    enhanced = sum(row["status"] == "enhanced" for row in rows)
    assert 0 < enhanced == text.count("vessel contrast×\u20091.38")
