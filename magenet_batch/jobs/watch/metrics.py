"""Numbers of the service in the text format of Prometheus, on this machine only."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from magenet_batch.errors import UsageError

_HOST = "127.0.0.1"
_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_HELP = {
    "magenet_looks_total": ("counter", "How often the archive was listed."),
    "magenet_errors_total": ("counter", "Looks and jobs that ended with an error."),
    "magenet_last_look_timestamp_seconds": ("gauge", "When the archive was last listed."),
    "magenet_working": ("gauge", "Whether images are being processed."),
    "magenet_worked_total": ("counter", "Images processed since the service started."),
    "magenet_images": ("gauge", "Images with a row, by status."),
    "magenet_removed_images": ("gauge", "Images whose sources are missing from the archive."),
}


@dataclass
class Metrics:
    """What the service has done.

    Attributes:
        looks: how often the archive was listed.
        errors: looks and jobs that ended with an error.
        last_look: when the archive was last listed, seconds since 1970; 0 before the first time.
        working: whether images are being processed.
        worked: images processed since the start.
        images: images with a row, by status.
        removed: images whose sources are missing from the archive.
    """

    looks: int = 0
    errors: int = 0
    last_look: float = 0.0
    working: bool = False
    worked: int = 0
    images: dict[str, int] = field(default_factory=dict)
    removed: int = 0

    def text(self) -> str:
        """All numbers, as Prometheus reads them; they name no image."""
        by_status = sorted(self.images.items())
        values: dict[str, list[tuple[str, float]]] = {
            "magenet_looks_total": [("", self.looks)],
            "magenet_errors_total": [("", self.errors)],
            "magenet_last_look_timestamp_seconds": [("", self.last_look)],
            "magenet_working": [("", int(self.working))],
            "magenet_worked_total": [("", self.worked)],
            "magenet_images": [(f'{{status="{status}"}}', n) for status, n in by_status],
            "magenet_removed_images": [("", self.removed)],
        }
        lines = []
        for name, (kind, meaning) in _HELP.items():
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{labels} {value}" for labels, value in values[name]]
        return "\n".join(lines) + "\n"


@contextlib.contextmanager
def served(metrics: Metrics, port: int) -> Iterator[int]:
    """Serve metrics on loopback as long as the block runs.

    Args:
        metrics: the numbers.
        port: port to listen on; 0 takes a free one.

    Yields:
        The port.

    Raises:
        UsageError: the port cannot be used.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer with the numbers."""
            if self.path != "/metrics":
                self.send_error(404)
                return
            content = metrics.text().encode()
            self.send_response(200)
            self.send_header("Content-Type", _TYPE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    try:
        server = ThreadingHTTPServer((_HOST, port), Handler)
    except OSError as error:
        raise UsageError(
            f"--metrics-port {port}: {error.strerror}. Choose another port, or 0 for a free one."
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
