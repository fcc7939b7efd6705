"""An S3 server that disturbs the n-th request of a process, or kills the process at it."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections import Counter

from s3_server import DenyingServer

from magenet_batch import storage

SLOW_S = 0.5
"""How long the store takes for a request that is disturbed by `slow`."""


class FaultyServer(DenyingServer):
    """A server with one empty bucket; inside its block, this process finds it.

    Args:
        bucket: name of the bucket.
    """

    def __init__(self, bucket: str) -> None:
        super().__init__()
        self._bucket = bucket
        self._lock = threading.Lock()
        self._fault, self._at = "", 0
        self._process, self._seen = None, None
        self._under_way = None
        self.environment = {
            "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip

    def __enter__(self) -> FaultyServer:
        from pyarrow.fs import S3FileSystem

        self._before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        storage.connect.cache_clear()
        files = S3FileSystem(endpoint_override=self.url, region="us-east-1",
                             allow_bucket_creation=True)  # fmt: skip
        files.create_dir(self._bucket)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        storage.connect.cache_clear()
        for name, value in self._before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})

    def disturb(self, process, seen: Counter, *, fault: str, at: int) -> None:
        """Count the requests of a process from now on, and disturb one of them.

        Args:
            process: the process.
            seen: counts them by method.
            fault: `denied`, `lost` (done, but answered with an error), `slow`, `kill` (the process,
                before the request is done), `killed-after`, or `late` (the process is killed, and
                the request, which was under way, is done later: when the next undisturbed process
                makes as many requests, or ends).
            at: number of the request, from 1; 0 disturbs none.
        """
        self._process, self._seen, self._fault, self._at = process, seen, fault, at

    def leave(self) -> None:
        """Count and disturb nothing any more."""
        self._process = None
        if self._at == 0:
            self._arrive()

    def _answer(self, environ, start_response):
        if self._process is None:
            return super()._answer(environ, start_response)
        with self._lock:
            self._seen[environ["REQUEST_METHOD"]] += 1
            number = self._seen.total()
        if number != self._at:
            if self._at == 0 and self._under_way is not None and number == self._under_way[0]:
                self._arrive()
            return super()._answer(environ, start_response)
        if self._fault == "slow":
            time.sleep(SLOW_S)
            return super()._answer(environ, start_response)
        if self._fault == "late":
            self._under_way = number, environ | {"wsgi.input": io.BytesIO(_body(environ))}
        if self._fault in ("kill", "late"):
            self._kill()
        if self._fault in ("denied", "kill", "late"):
            self.status, self.code = "403 Forbidden", "AccessDenied"
            return self.deny(environ, start_response)
        list(self.store(environ, lambda status, headers: None))
        if self._fault == "killed-after":
            self._kill()
        start_response("500 Internal Server Error", [("Content-Type", "application/xml")])
        return [b"<Error><Code>InternalError</Code><Message>Lost</Message></Error>"]

    def _arrive(self) -> None:
        """Do a request that was under way when its process was killed."""
        if self._under_way is not None:
            (_, environ), self._under_way = self._under_way, None
            list(super()._answer(environ, lambda status, headers: None))

    def _kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)


def _body(environ) -> bytes:
    """The content of a request; pyarrow sends it in chunks, without its length."""
    if environ.get("wsgi.input_terminated"):
        return environ["wsgi.input"].read()
    return environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
