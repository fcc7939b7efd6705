"""A review in a real browser: decide with keys, leave, come back, export, and apply the file."""

import base64
import csv
import io
import json
from urllib.parse import unquote

import pytest
from chromium import CHROMIUM, WHY_NOT, Browser
from report_fakes import HOSTILE, make_rows, reviewable, write_out

from magenet_batch.report.build import write_report
from magenet_batch.report.words import visible

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT),
]
NAME = "document.getElementById('viewer-name').textContent"
DONE = "document.getElementById('review-done').textContent"
OPEN = "document.getElementById('viewer').open"


@pytest.fixture(name="browser", scope="module")
def one_browser():
    with Browser() as browser:
        yield browser


@pytest.fixture(name="main")
def report_to_review(out):
    """The fakes' report, with seven images to review; one has a hostile name, one is a formula."""
    for old in (out / "rows").iterdir():
        old.unlink()
    rows = make_rows(40, source=str(out.parent / "source.jpg"), output="images/a.jpg")
    rows[1]["image_id"] = HOSTILE
    rows[2]["image_id"] = '=1+1,"x".jpg'
    return write_report(write_out(out, reviewable(rows)))


@pytest.fixture(name="page")
def page_to_review(browser, main):
    browser.open(main)
    browser.run("localStorage.clear()")
    browser.open(main)
    yield browser
    assert browser.complaints() == []
    assert browser.requests() == []


def items(page):
    return json.loads(page.run("document.getElementById('review-data').textContent"))["items"]


def exported(page):
    """What a click on the export gives, caught before it becomes a download."""
    page.run(
        "(() => {HTMLAnchorElement.prototype.click = function () {window.caught = [this.download,"
        "this.href];}; document.getElementById('review-export').click();})()"
    )
    name, address = page.run("window.caught")
    head, _, body = address.partition(",")
    assert head.startswith("data:text/csv")
    text = base64.b64decode(body).decode() if head.endswith("base64") else unquote(body)
    return name, list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_review_with_the_keyboard_from_start_to_export(page, main):
    waiting = items(page)
    undecided = [item["id"] for item in waiting if not item["recorded"]]
    assert len(waiting) > 4 and len(undecided) == len(waiting) - 1
    assert page.run(DONE) == "1"  # the one whose decision is in the rows
    assert page.run("document.getElementById('review-export').disabled")
    page.click("#review-start")
    first = page.run(NAME)
    assert page.run("document.getElementById('judged').textContent") == "Not decided"
    page.key("w", text="w")
    second = page.run(NAME)
    assert second != first and page.run(DONE) == "2"
    page.key("p", text="p")
    assert page.run(NAME) == first
    assert page.run("document.getElementById('judged').textContent") == "Decided: withhold"
    page.key("u", text="u")
    assert page.run(NAME) == first and page.run(DONE) == "1"
    page.key("d", text="d")
    page.key("n", text="n")
    page.key("Escape", code=27)
    assert not page.run(OPEN)
    # it is all there when the page is opened again
    page.open(main)
    assert page.run(DONE) == "2"
    assert page.run("document.getElementById('review-start').textContent") == "Continue review"
    page.click("#review-start")
    for _ in range(len(undecided) - 1):
        assert page.run(OPEN)
        page.key("w", text="w")
    assert not page.run(OPEN) and page.run(DONE) == str(len(waiting))
    assert page.run("document.activeElement.id") == "review-export"
    name, rows = exported(page)
    assert name == "decisions.csv"
    job = json.loads(page.run("document.getElementById('review-data').textContent"))["job"]
    assert {row["job"] for row in rows} == {job} and len(job) == 12
    named = {row["image_id"].removeprefix("'"): row["decision"] for row in rows}
    assert set(named) == set(undecided)
    assert sorted(named.values()) == ["deliver"] + ["withhold"] * (len(undecided) - 1)
    assert HOSTILE in named and '\'=1+1,"x".jpg' in {row["image_id"] for row in rows}
    from magenet_batch.jobs.review.decisions import Defaults, read_decisions

    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    read = read_decisions(
        text.getvalue().encode(), "x", known=set(undecided).__contains__,
        defaults=Defaults(job, "R", "2026-01-01"),
    )  # fmt: skip
    assert {d.image_id: d.decision for d in read} == named


def test_buttons_under_a_picture_decide_and_take_back(page):
    figure = ".pair.reviewable"
    page.click(f"{figure} [data-decide=deliver]")
    assert page.run(DONE) == "2"
    pressed = f"document.querySelector('{figure} [data-decide=deliver]').ariaPressed"
    assert page.run(pressed) == "true"
    page.key("w", text="w")  # the button that has the focus lies in the picture's figure
    assert page.run(pressed) == "false" and page.run(DONE) == "2"
    page.click(f"{figure} [data-decide=withhold]")
    assert page.run(DONE) == "1"


def test_letters_in_a_text_field_decide_nothing(page):
    page.click("#reviewer")
    for letter in "dwu":
        page.key(letter, text=letter)
    assert page.run("document.getElementById('reviewer').value") == "dwu"
    assert page.run(DONE) == "1"
    page.click(".pair.reviewable [data-decide=withhold]")
    _, (row,) = exported(page)
    assert (row["reviewer"], row["decision"]) == ("dwu", "withhold")


def test_what_is_recorded_can_be_taken_back(page):
    recorded = next(i for i, item in enumerate(items(page)) if item["recorded"])
    figure = f".pair[data-review='{recorded}']"
    said = f'document.querySelector("{figure} .decided-word").textContent'
    assert page.run(said) == "Recorded: deliver enhanced, Dr. =A"
    page.click(f"{figure} [data-decide=deliver]")
    assert page.run(said) == "Decided: take the decision back"
    _, (row,) = exported(page)
    assert row["decision"] == "undo"


def test_what_was_applied_is_no_decision_of_the_browser_any_more(page, main):
    entries = items(page)
    recorded = next(item["id"] for item in entries if item["recorded"] == "deliver")
    other = next(item["id"] for item in entries if not item["recorded"])
    job = json.loads(page.run("document.getElementById('review-data').textContent"))["job"]
    kept = {recorded: {"decision": "deliver"}, other: {"decision": "undo"}, "gone": {}}
    text = json.dumps(json.dumps({"decisions": kept}))
    page.run(f"localStorage.setItem('magenet-review:{job}', {text})")
    page.open(main)
    assert page.run("document.getElementById('review-export').disabled")
    assert page.run(DONE) == "1"


@pytest.mark.parametrize("kind", ["review", "withheld", "fell", "flagged", "undecided"])
def test_the_gallery_shows_what_is_asked_for(page, kind):
    page.click(f"[data-show={kind}]")
    shown = page.run(
        "[...document.querySelectorAll('.pairs .pair:not([hidden])')].map((p) => p.dataset.why)"
    )
    assert shown
    assert all(("review" if kind == "undecided" else kind) in why.split() for why in shown)


def test_the_table_shows_what_is_asked_for(page):
    wanted = {"review": None, "withheld": 3, "fell": 1, "reviewed": 1}
    options = page.run("[...document.querySelectorAll('#kind option')].map((o) => o.value)")
    assert set(wanted) <= set(options)
    for kind, count in wanted.items():
        page.run(
            f"(() => {{const s = document.getElementById('kind'); s.value = '{kind}';"
            "s.dispatchEvent(new Event('input', {bubbles: true}));})()"
        )
        rows = page.run("document.querySelectorAll('#table tbody tr').length")
        assert rows and (count is None or rows == count)


def test_what_to_do_next_leads_there(page):
    page.click("[data-go=review]")
    pressed = page.run("document.querySelector('[data-show=review]').ariaPressed")
    assert pressed == "true"
    # the page may still be on its way to the gallery: no place on the screen is sure
    page.run("document.querySelector('[data-go=failed]').click()")
    assert page.run("document.getElementById('status').value") == "failed"
    assert page.run("document.querySelectorAll('#table tbody tr').length") == 8


def test_a_browser_that_keeps_nothing_still_reviews(browser, main):
    browser.open(main)
    browser.run("Storage.prototype.setItem = () => { throw new Error('full'); }")
    browser.click(".pair.reviewable [data-decide=withhold]")
    assert browser.run(DONE) == "2"
    assert "keeps nothing" in browser.run("document.getElementById('review-then').textContent")


def test_it_fits_a_phone_and_hostile_names_stay_text(browser, main):
    browser.open(main, width=390, height=844, mobile=True)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    browser.run("document.getElementById('review-start').click()")
    assert browser.run("document.documentElement.scrollWidth") <= 390
    assert browser.run("document.title").startswith("Enhancement report")
    assert "\u202e" not in browser.run("document.documentElement.outerHTML")
    names = browser.run("[...document.querySelectorAll('.pair')].map((p) => p.dataset.name)")
    assert visible(HOSTILE) in names
