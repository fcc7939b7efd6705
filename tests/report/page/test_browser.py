"""The pages in a real browser, driven with mouse and keyboard."""

import itertools
import json
import re

import pytest
from chromium import CHROMIUM, WHY_NOT, Browser
from report_fakes import HOSTILE, make_rows, write_out

from magenet_batch.report.build import write_report
from magenet_batch.report.words import visible

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT),
]

ROWS = "document.querySelectorAll('#table tbody tr').length"


@pytest.fixture(name="browser", scope="module")
def one_browser():
    with Browser() as browser:
        yield browser


@pytest.fixture(name="page")
def page_of_out(browser, out):
    browser.open(write_report(out, individual=10))
    yield browser
    # whatever a test did: nothing was complained of, nothing was asked of anyone
    assert browser.complaints() == []
    assert browser.requests() == []


def choose(browser, selector, value):
    browser.run(
        f"(() => {{const e = document.querySelector({json.dumps(selector)});"
        f"e.value = {json.dumps(value)};"
        "e.dispatchEvent(new Event('input', {bubbles: true}));})()"
    )


def test_the_slider_moves_with_mouse_and_keyboard(page):
    cut = "document.querySelector('.lead .stage').style.getPropertyValue('--cut')"
    x, y = page.middle(".lead .cut")
    width = page.run("document.querySelector('.lead .cut').getBoundingClientRect().width")
    assert page.run(cut) == "50%"
    page.drag((x, y), (x - width / 4, y))
    assert float(page.run(cut).rstrip("%")) == pytest.approx(25, abs=3)
    before = float(page.run(cut).rstrip("%"))
    page.run("document.querySelector('.lead .cut').focus()")
    page.key("ArrowRight", code=39)
    assert float(page.run(cut).rstrip("%")) == before + 1
    clip = page.run("getComputedStyle(document.querySelector('.lead .two')).clipPath")
    assert f"{before + 1:.0f}%" in clip


def test_an_enlarged_picture_zooms_moves_and_shows_what_changed(page):
    page.click(".lead [data-enlarge]")
    assert page.run("document.getElementById('viewer').open")
    zoom = "document.getElementById('viewer-zoom').textContent"
    assert page.run(zoom) == "100 %"
    x, y = page.middle(".view")
    page.mouse("mouseWheel", x + 100, y, button="none", buttons=0, deltaX=0, deltaY=-400)
    assert int(page.run(zoom).split()[0]) == pytest.approx(272, abs=2)
    moved = "getComputedStyle(document.querySelector('.view')).getPropertyValue('--x')"
    # the point under the mouse stays where it is
    assert float(page.run(moved).removesuffix("px")) == pytest.approx(-172, abs=3)
    page.drag((x + 150, y), (x + 200, y + 20))
    assert float(page.run(moved).removesuffix("px")) == pytest.approx(-122, abs=3)
    page.key("0", text="0")
    assert page.run(zoom) == "100 %"
    page.key("+", text="+")
    assert page.run(zoom) == "150 %"
    page.click("[data-mode=changed]")
    alt = "document.querySelector('.v-one').alt"
    assert page.run(alt).startswith("what changed: ")
    assert not page.run("document.getElementById('viewer-legend').hidden")
    name = page.run("document.getElementById('viewer-name').textContent")
    page.click("[data-step='1']")
    assert page.run("document.getElementById('viewer-name').textContent") != name
    page.key("Escape", code=27)
    assert not page.run("document.getElementById('viewer').open")


def test_the_line_of_the_enlarged_picture_can_be_dragged(page):
    page.click(".lead [data-enlarge]")
    x, y = page.middle(".view")
    page.drag((x, y), (x + 200, y))
    width = page.run("document.querySelector('.view').clientWidth")
    value = float(page.run("document.getElementById('viewer-cut').value"))
    assert value == pytest.approx(50 + 100 * 200 / width, abs=2)


def test_the_table_filters(page):
    assert page.run(ROWS) == 40
    choose(page, "#status", "failed")
    assert page.run(ROWS) == 8
    assert page.run("document.getElementById('count').textContent") == "8 images"
    page.click("#clear")
    assert page.run(ROWS) == 40
    choose(page, "#grade", "good")
    good = page.run(ROWS)
    assert 0 < good < 40
    choose(page, "[data-filter='manifest:camera']", "Canon")
    assert 0 < page.run(ROWS) < good
    page.click("#clear")
    page.click("[data-flag='new vessels']")
    flagged = page.run(ROWS)
    notes = page.run("[...document.querySelectorAll('#table .notes')].map((e) => e.textContent)")
    assert flagged and all("new vessels" in note for note in notes)
    choose(page, "#q", "no such image")
    assert page.run(ROWS) == 0


def test_the_table_sorts_up_and_down(page):
    shown = "[...document.querySelectorAll('#table tbody tr')].map((r) => r.cells[%d].textContent)"
    column = page.run(
        "[...document.querySelectorAll('#table thead th')].findIndex("
        "(h) => h.textContent === 'fidelity')"
    )
    page.click(f"#table thead th:nth-child({column + 1}) button")
    up = [float(v) for v in page.run(shown % column) if v != "–"]
    assert len(up) > 10 and up == sorted(up)
    assert page.run(shown % column)[-1] == "–"
    page.click(f"#table thead th:nth-child({column + 1}) button")
    assert [float(v) for v in page.run(shown % column) if v != "–"] == sorted(up, reverse=True)
    assert page.run(shown % column)[-1] == "–"
    sort = page.run(f"document.querySelectorAll('#table thead th')[{column}].ariaSort")
    assert sort == "descending"


def test_the_gallery_filters_and_colours_change(page):
    page.click("[data-show=flagged]")
    left = page.run(
        "[...document.querySelectorAll('.pairs .pair:not([hidden])')].map((p) => p.dataset.why)"
    )
    assert left and all("flagged" in why.split() for why in left)
    ground = "getComputedStyle(document.body).backgroundColor"
    page.click("#theme")
    light = page.run(ground)
    page.click("#theme")
    assert page.run(ground) != light
    assert page.run("document.documentElement.dataset.theme") == "dark"


def test_hostile_names_are_text_everywhere(page):
    assert page.run("document.title") == "Enhancement report: 40 images"
    choose(page, "#q", "<SCRIPT>")
    assert page.run(ROWS) == 1
    name = "document.querySelector('#table tbody .name')"
    assert page.run(f"{name}.textContent") == visible(HOSTILE)
    assert "\u202e" not in page.run("document.documentElement.outerHTML")
    # 300 characters do not push anything off the screen
    assert page.run("document.documentElement.scrollWidth") <= 1440
    page.run(f"{name}.closest('a').click()")


def test_a_flagged_image_has_its_own_page(browser, out):
    main = write_report(out, individual=10)
    pages = sorted((out / "report").iterdir())
    linked = set(re.findall(r'"(report/[0-9a-f]{20}\.html)"', main.read_text(encoding="utf-8")))
    assert linked == {f"report/{page.name}" for page in pages}
    hostile = next(p for p in pages if visible("\u202egnp") in p.read_text(encoding="utf-8"))
    browser.open(hostile)
    assert browser.run("document.querySelector('h1 .name').textContent") == visible(HOSTILE)
    assert browser.run("document.querySelectorAll('.rank').length") > 10
    browser.click("[data-enlarge]")
    browser.click("[data-zoom=in]")
    assert browser.run("document.getElementById('viewer-zoom').textContent") == "150 %"
    assert browser.complaints() == []
    assert browser.requests() == []
    back = browser.run("document.querySelector('nav a').href")
    assert back == main.as_uri() + "#gallery"


def test_it_fits_a_phone_and_prints(browser, out, tmp_path):
    browser.open(write_report(out), width=390, height=844, mobile=True)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    browser.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("status", "word"), [("kept", "as it came"), ("assessed", "assessed"), ("failed", "failed")]
)
def test_jobs_that_enhanced_nothing_have_pages_that_work(browser, tmp_path, status, word):
    rows = make_rows(10)[3 if status != "failed" else 4 :: 5]
    for row in rows:
        row["status"] = status
    browser.open(write_report(write_out(tmp_path / "out", rows)))
    assert browser.run(ROWS) == 2
    cells = "[...document.querySelectorAll('#table td.status')].map((cell) => cell.textContent)"
    assert browser.run(cells) == [word, word]
    choose(browser, "#status", status)
    assert browser.run(ROWS) == 2
    assert browser.complaints() == []


def test_all_controls_have_names(page):
    nameless = page.run(
        "[...document.querySelectorAll('button, a, input, select')].filter((e) =>"
        "!e.textContent.trim() && !e.ariaLabel && !(e.labels && e.labels.length)).length"
    )
    assert nameless == 0
    levels = page.run("[...document.querySelectorAll('h1, h2, h3')].map((h) => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
