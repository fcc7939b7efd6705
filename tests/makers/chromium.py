"""A real browser for tests: headless Chromium over a pipe, in its own DevTools protocol.

A pipe needs no port, no server and no other package: messages are JSON, each ends with a zero byte.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
WHY_NOT = "needs Chromium: put `chromium` or `google-chrome` on the PATH"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
    "--no-first-run", "--no-default-browser-check", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--hide-scrollbars",
    "--force-color-profile=srgb", "--remote-debugging-pipe",
)  # fmt: skip
TIMEOUT_S = 90.0


class Browser:
    """One browser with one page.

    Attributes:
        events: what the page reported since it was opened: `(method, params)`.
    """

    def __init__(self) -> None:
        assert CHROMIUM, WHY_NOT
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._count, self._held = 0, b""
        self._profile = tempfile.mkdtemp(prefix="magenet-chromium-")
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        # high numbers, so that neither is lost when the child's 3 and 4 are set
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (theirs_in, theirs_out)]

        def place() -> None:
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self._process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=place, pass_fds=(3, 4),
        )  # fmt: skip
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self._session: str | None = None
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(t["targetId"] for t in targets if t["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._held:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "Chromium did not answer"
            part = os.read(self._from, 1 << 20)
            assert part, "Chromium has ended"
            self._held += part
        message, self._held = self._held.split(b"\0", 1)
        return json.loads(message)

    def _note(self, message: dict[str, Any]) -> None:
        if "method" in message:
            self.events.append((message["method"], message.get("params", {})))

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for its result."""
        self._count += 1
        number, deadline = self._count, time.monotonic() + TIMEOUT_S
        call = {"id": number, "method": method, "params": params}
        if self._session:
            call["sessionId"] = self._session
        data = json.dumps(call).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while True:
            message = self._receive(deadline)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def open(
        self, path: Path, *, width: int = 1440, height: int = 900, mobile: bool = False
    ) -> None:
        """Open a file and wait until it is loaded."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=mobile)  # fmt: skip
        self.events.clear()
        self.send("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + TIMEOUT_S
        while not any(method == "Page.loadEventFired" for method, _ in self.events):
            self._note(self._receive(deadline))

    def run(self, code: str) -> Any:
        """Evaluate JavaScript in the page; its value as JSON."""
        done = self.send("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def complaints(self) -> list[str]:
        """What the page wrote to the console, and its uncaught exceptions."""
        return [
            json.dumps(params)
            for method, params in self.events
            if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        ]

    def requests(self) -> list[str]:
        """Addresses that the page asked for, besides itself and what it holds."""
        asked = [p["request"]["url"] for m, p in self.events if m == "Network.requestWillBeSent"]
        return [url for url in asked[1:] if not url.startswith("data:")]

    def middle(self, selector: str) -> tuple[float, float]:
        """Scroll an element into view; the middle of it on the screen."""
        return tuple(
            self.run(
                f"(() => {{const e = document.querySelector({json.dumps(selector)});"
                "e.scrollIntoView({block: 'center', behavior: 'instant'});"
                "const b = e.getBoundingClientRect();"
                "return [b.x + b.width / 2, b.y + b.height / 2];})()"
            )
        )

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Move, press, release or turn the wheel: `mouseMoved`, `mousePressed`, ..."""
        more = {"button": "left", "buttons": 1, "clickCount": 1} | more
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, selector: str) -> None:
        """Click the middle of an element, as a person would."""
        x, y = self.middle(selector)
        self.mouse("mouseMoved", x, y, buttons=0)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y, buttons=0)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press at one place, release at another."""
        self.mouse("mouseMoved", *start, buttons=0)
        self.mouse("mousePressed", *start)
        for step in range(1, 6):
            x, y = (s + (e - s) * step / 5 for s, e in zip(start, end, strict=True))
            self.mouse("mouseMoved", x, y)
        self.mouse("mouseReleased", *end, buttons=0)

    def key(self, key: str, *, code: int = 0, text: str = "") -> None:
        """Press and release a key."""
        more = {"key": key, "windowsVirtualKeyCode": code}
        self.send(
            "Input.dispatchKeyEvent", type="keyDown", **more, **({"text": text} if text else {})
        )
        self.send("Input.dispatchKeyEvent", type="keyUp", **more)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write what is seen, or the whole page, as PNG."""
        done = self.send("Page.captureScreenshot", captureBeyondViewport=whole, **(
            {"clip": {"x": 0, "y": 0, "scale": 1, **self.run(
                "({width: innerWidth, height: document.documentElement.scrollHeight})")}}
            if whole else {}))  # fmt: skip
        path.write_bytes(base64.b64decode(done["data"]))

    def pdf(self, path: Path) -> None:
        """Print to a PDF of A4."""
        done = self.send("Page.printToPDF", printBackground=True, preferCSSPageSize=True,
                         paperWidth=8.27, paperHeight=11.69)  # fmt: skip
        path.write_bytes(base64.b64decode(done["data"]))

    def media(self, **features: str) -> None:
        """Emulate what a system prefers, such as `prefers_color_scheme="dark"`."""
        chosen = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        self.send("Emulation.setEmulatedMedia", features=chosen)
