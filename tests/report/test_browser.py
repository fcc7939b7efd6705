"""The page in a real browser."""

import re
import shutil
import subprocess

import pytest
from report_fakes import HOSTILE

from magenet_batch.report.build import write_report
from magenet_batch.report.text import visible

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr", "--virtual-time-budget=3000",
)  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH"),
]

# drives the page as a person would, and leaves what it saw in the title
DRIVER = """
<script>
addEventListener("load", () => {
  const seen = {};
  const slider = document.querySelector("input.cut");
  slider.value = 20; slider.dispatchEvent(new Event("input"));
  seen.cut = slider.parentElement.style.getPropertyValue("--cut");
  seen.clip = getComputedStyle(slider.parentElement.querySelector(".two")).clipPath;
  const rows = () => document.querySelectorAll("#table tbody tr").length;
  seen.all = rows();
  const status = document.getElementById("status");
  status.value = "failed"; status.dispatchEvent(new Event("input"));
  seen.failed = rows();
  status.value = ""; status.dispatchEvent(new Event("input"));
  const q = document.getElementById("q");
  q.value = "<SCRIPT>"; q.dispatchEvent(new Event("input"));
  seen.found = rows();
  seen.name = document.querySelector("#table tbody .name").textContent;
  q.value = ""; q.dispatchEvent(new Event("input"));
  const sort = document.querySelector("#table thead button");
  sort.click(); sort.click();
  seen.sorted = sort.parentElement.getAttribute("aria-sort");
  document.querySelector("[data-show=flagged]").click();
  seen.pairs = document.querySelectorAll(".pairs .pair:not([hidden])").length;
  document.getElementById("theme").click();
  seen.theme = document.documentElement.dataset.theme;
  seen.title = document.title;
  const loaded = performance.getEntriesByType("resource");
  seen.requests = loaded.filter((e) => !e.name.startsWith("data:")).length;
  const pre = document.createElement("pre");
  pre.id = "seen"; pre.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(seen))));
  document.body.append(pre);
});
</script></body>"""


def test_the_page_works_in_chromium(out, tmp_path):
    import base64
    import json

    page = write_report(out)
    text = page.read_text(encoding="utf-8")
    driven = tmp_path / "driven.html"
    driven.write_text(text.replace("</body>", DRIVER), encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [CHROMIUM, *FLAGS, profile, "--dump-dom", driven.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'<pre id="seen">([^<]+)</pre>', done.stdout)
    assert found, done.stderr[-2000:]
    seen = json.loads(base64.b64decode(found[1]))
    assert seen["cut"] == "20%"
    assert "20%" in seen["clip"]
    assert (seen["all"], seen["failed"], seen["found"]) == (40, 8, 1)
    assert seen["name"] == visible(HOSTILE)
    assert seen["sorted"] == "descending"
    assert seen["pairs"] >= 1
    assert seen["theme"] == "light"
    assert seen["title"] == "Enhancement report: 40 images"
    assert seen["requests"] == 0
