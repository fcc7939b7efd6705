"""Draw docs/images/report.jpg: the top of the report of a demo archive, in headless Chromium.

    python tools/report_picture.py

Run it again when the report looks different.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).parent.parent / "docs" / "images" / "report.jpg"
WIDTH, HEIGHT = 1100, 1340
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--force-color-profile=srgb",
)  # fmt: skip


def screenshot(page: Path, picture: Path, *, profile: Path) -> None:
    """Write a PNG of the top of a page."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("needs Chromium: put `chromium` or `google-chrome` on the PATH")
    options = (f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}")
    command = [browser, *FLAGS, *options, f"--screenshot={picture}", page.as_uri()]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo = [sys.executable, "-m", "magenet_batch", "demo", "--images", "24", "--seed", "3"]
        subprocess.run([*demo, "--workers", "0", "--output", str(folder / "demo")], check=True)
        picture = folder / "report.png"
        screenshot(folder / "demo/out/report.html", picture, profile=folder / "profile")
        Image.open(picture).convert("RGB").save(TARGET, quality=84, optimize=True)
    print(TARGET)
