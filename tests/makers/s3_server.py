"""An S3 server on loopback that answers as a store does, and can be made to deny requests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH")
_ERROR = """<?xml version="1.0"?>
<Error><Code>{code}</Code><Message>Not now, not here</Message></Error>"""


class DenyingServer:
    """An S3 server in threads of this process.

    Attributes:
        url: where it listens.
        denied: of method and address, such as `PUT /bucket/name?partNumber=2`: whether a request
            is denied, as the policy of a bucket would; None denies nothing.
        status: of an answer that denies.
        code: of the error in such an answer.
        conditions: of puts are `heeded`, `ignored`, or `refused` as not implemented.
    """

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.denied: Callable[[str], bool] | None = None
        self.status, self.code = "403 Forbidden", "AccessDenied"
        self.conditions = "heeded"
        self._one_put = threading.Lock()  # moto looks first and puts then
        self.store = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()

    def _answer(self, environ, start_response):
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        if self.denied is not None and self.denied(asked):
            return self.deny(environ, start_response)
        if not asked.startswith("PUT"):
            return self.store(environ, start_response)
        given = [environ.pop(name, None) for name in _CONDITIONS]
        if self.conditions == "refused" and any(given):
            return self.deny(environ, start_response, "501 Not Implemented", "NotImplemented")
        if self.conditions == "heeded":
            pairs = zip(_CONDITIONS, given, strict=True)
            environ.update({name: value for name, value in pairs if value is not None})
        with self._one_put:
            return list(self.store(environ, start_response))

    def deny(self, environ, start_response, status=None, code=None):
        """Answer a request with an error, and do nothing."""
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response(status or self.status, [("Content-Type", "application/xml")])
        return [_ERROR.format(code=code or self.code).encode()]
