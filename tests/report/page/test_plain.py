"""What everybody reads is plain; what experts read is folded."""

import re

import pytest
from PIL import Image
from report_fakes import make_rows, reviewable, write_out

from magenet_batch.report.build import build_report, write_report
from magenet_batch.report.page.gallery import leads, make_gallery
from magenet_batch.report.totals.collect import collect

JARGON = re.compile(r"\b(Weber|CIE76|soft Dice|EyeQ)\b")


def split(text):
    """What is outside of the parts for experts, and what is inside."""
    inside = re.findall(r'<details class="experts".*?</details>', text, re.S)
    return re.sub(r'<details class="experts".*?</details>', "", text, flags=re.S), "".join(inside)


@pytest.fixture(name="job")
def job_to_review(out):
    for old in (out / "rows").iterdir():
        old.unlink()
    rows = make_rows(40, source=str(out.parent / "source.jpg"), output="images/a.jpg")
    return write_out(out, reviewable(rows))


@pytest.mark.parametrize("assess", [False, True])
def test_jargon_histograms_and_policy_are_for_experts(job, tmp_path, assess):
    if assess:
        rows = [r | {"status": "assessed", "reason": None} for r in make_rows(10)]
        job = write_out(tmp_path / "other", rows)
    plain, expert = split(build_report(job))
    assert not JARGON.search(plain)
    assert "<h4>sharpness</h4>" in expert and "<h4>" not in plain
    assert "fidelity min" in expert and "fidelity min" not in plain
    if not assess:
        assert "limit: at most 0.03" in expert and JARGON.search(expert)


def test_pages_of_images_are_plain_named_and_show_limits(job):
    write_report(job, individual=20)
    pages = [p.read_text(encoding="utf-8") for p in (job / "report").iterdir()]
    assert len(pages) > 4
    for text in pages:
        plain, expert = split(text)
        assert not JARGON.search(plain) and JARGON.search(expert)
        title = re.search(r"<title>(.*?)</title>", text)[1]
        name = re.search(r'data-name="([^"]*)"', text)[1]
        assert title == f"{name.rsplit('/', 1)[-1]} · {name}"
    withheld = next(text for text in pages if "a reviewer" not in text and "is withheld" in text)
    assert re.search(r"contrast of the vessels.*?<b>0.900</b>.*?at least 0.97", withheld, re.S)


def test_evidence_has_a_legend_and_says_when_there_is_nothing(job):
    text = build_report(job)
    assert "Nothing to show: no structure changed" in text  # both files are the same picture
    Image.effect_noise((96, 96), 90).convert("RGB").save(job / "images" / "a.jpg")
    text = build_report(job)
    assert "Nothing to show" not in text
    legends = re.findall(r'class="changed-legend">(.*?)</p>', text, re.S)
    assert legends and all("darker detail than before" in legend for legend in legends)


def test_the_leading_picture_is_none_that_is_doubted(job):
    found = collect(job)
    lead = make_gallery(found).lead
    assert lead is not None and leads(job, lead.row)
    assert lead.row["status"] == "enhanced" and not lead.row["flags"]
    good = lead.row
    for worse in (
        {"status": "withheld"}, {"flags": ["invented"]}, {"decision": "withhold"},
        {"grade_before": "good", "grade_after": "usable"}, {"output": "images/gone.jpg"},
        {"sharpness_after": good["sharpness_before"] - 0.9},
    ):  # fmt: skip
        assert not leads(job, good | worse), worse


def test_where_every_image_is_doubted_none_leads(tmp_path, out):
    rows = make_rows(10, source=str(tmp_path / "source.jpg"), output="images/a.jpg")
    for row in rows:
        row["flags"] = ["invented"]
    for old in (out / "rows").iterdir():
        old.unlink()
    assert make_gallery(collect(write_out(out, rows))).lead is None
    assert 'class="hero alone"' in build_report(out)


def test_what_was_withheld_is_shown_beside_its_original(job):
    pairs = [p for p in make_gallery(collect(job)).pairs if p.row["status"] == "withheld"]
    assert len(pairs) == 3 and all(p.before and p.after and p.reviewable for p in pairs)
    text = build_report(job)
    assert text.count("after, withheld</span>") == 3
    for row in collect(job).waiting.rows():
        assert row["image_id"] in text


def test_more_to_review_than_fit_are_told(job):
    text = build_report(job, review=2)
    count = collect(job).outcome.waiting.total()
    assert f"{count - 2} more wait that are not on this page" in text
    assert f"magenet report out --review {count}" in text
