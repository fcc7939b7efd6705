"""DICOMweb servers on loopback: a small one of our own, and Orthanc where it is installed."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pydicom
from dicom_files import dicom, saved

from magenet_batch.phantom import make_phantom

PREFIX = "/dicom-web"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
ORTHANC_S = 60
_STUDY = ("PatientID", "StudyDate", "StudyInstanceUID")


class FakeDicomweb:
    """Speaks just QIDO-RS, WADO-RS and STOW-RS, from memory.

    Args:
        certificate: PEM file of a certificate with its key, for https; None for http.

    Attributes:
        url: address of the service.
        held: identifier of an instance -> content of its file.
        asked: every request, such as `GET /dicom-web/studies?limit=1`.
        answers: of a request: the HTTP status to refuse it with, or None.
        authorization: header that every request must have; None allows all.
        page: maximum number of matches in an answer.
        tells: keywords of the attributes that searches tell of an instance.
        ignores_offset: answers every page with the first one.
        torn: answers with the first half of an instance.
        moved_to: address of another server to redirect every request to; None for none.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self._certificate = certificate
        self.held: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.answers: Callable[[str], int | None] = lambda asked: None
        self.authorization: str | None = None
        self.page = 10_000
        self.tells = ("DerivationDescription",)
        self.ignores_offset = False
        self.torn = False
        self.moved_to: str | None = None
        self.start()

    def start(self, port: int = 0) -> None:
        """Listen on a port; 0 chooses a free one."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                fake._answer(self, "GET", b"")

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                fake._answer(self, "POST", self.rfile.read(length))

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}{PREFIX}"
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.url = self.url.replace("http", "https", 1)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening; `start(port)` goes on with the same instances."""
        self._server.shutdown()
        self._server.server_close()

    def put(self, content: bytes) -> pydicom.Dataset:
        """Hold an instance."""
        dataset = pydicom.dcmread(io.BytesIO(content))
        self.held[dataset.SOPInstanceUID] = content
        return dataset

    def count(self, method: str) -> int:
        """Number of requests with a method."""
        return sum(asked.startswith(method + " ") for asked in self.asked)

    def _answer(self, handler, method, body):
        asked = f"{method} {handler.path}"
        self.asked.append(asked)
        status = self.answers(asked)
        if self.authorization not in (None, handler.headers.get("Authorization")):
            status = 401
        if self.moved_to is not None:
            handler.send_response(307)
            handler.send_header("Location", self.moved_to + handler.path.removeprefix(PREFIX))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if status is not None:
            _reply(handler, status, b"no", "text/plain")
            return
        split = urlsplit(handler.path)
        path = split.path.removeprefix(PREFIX)
        query = dict(parse_qsl(split.query))
        if path == split.path:
            _reply(handler, 200, b"<html>Welcome</html>", "text/html")
        elif method == "POST":
            self._store(handler, body)
        elif path == "/studies":
            self._search(handler, query, level="study", uids={})
        elif found := re.fullmatch(r"/studies/([\d.]+)(?:/series/([\d.]+))?/instances", path):
            uids = {"StudyInstanceUID": found[1], "SeriesInstanceUID": found[2]}
            self._search(handler, query, level="instance", uids=uids)
        elif found := re.fullmatch(r".*/instances/([\d.]+)(/metadata)?", path):
            self._retrieve(handler, found[1], metadata=bool(found[2]))
        else:
            _reply(handler, 404, b"", "text/plain")

    def _search(self, handler, query, *, level, uids):
        offset, limit = int(query.pop("offset", 0)), int(query.pop("limit", self.page))
        query.pop("includefield", None)
        query = {_keyword(key): value for key, value in query.items()}
        wanted = {key: value for key, value in {**query, **uids}.items() if value is not None}
        told = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", *self.tells)
        matches = {}
        for content in self.held.values():
            dataset = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
            if all(_matches(str(dataset.get(k, "")), v) for k, v in wanted.items()):
                names = _STUDY + (told if level == "instance" else ())
                entry = pydicom.Dataset()
                for name in names:
                    if name in dataset:
                        entry[name] = dataset[name]
                key = dataset.StudyInstanceUID if level == "study" else dataset.SOPInstanceUID
                matches[key] = entry.to_json_dict()
        begin = 0 if self.ignores_offset else offset
        found = list(matches.values())[begin : begin + min(limit, self.page)]
        _reply(handler, 200, json.dumps(found).encode(), "application/dicom+json")

    def _retrieve(self, handler, sop, *, metadata):
        if sop not in self.held:
            _reply(handler, 404, b"", "text/plain")
        elif metadata:
            dataset = pydicom.dcmread(io.BytesIO(self.held[sop]), stop_before_pixels=True)
            body = json.dumps([dataset.to_json_dict()]).encode()
            _reply(handler, 200, body, "application/dicom+json")
        else:
            part = b"--frontier\r\nContent-Type: application/dicom\r\n\r\n" + self.held[sop]
            body = part + b"\r\n--frontier--\r\n"
            kind = 'multipart/related; type="application/dicom"; boundary=frontier'
            _reply(handler, 200, body, kind, torn=self.torn)

    def _store(self, handler, body):
        kind = handler.headers["Content-Type"]
        marker = b"\r\n--" + re.search(r'boundary="?([^";]+)', kind)[1].encode()
        content = body[body.index(b"\r\n\r\n") + 4 : body.rindex(marker)]
        dataset = self.put(content)
        item = pydicom.Dataset()
        item.ReferencedSOPClassUID = dataset.SOPClassUID
        item.ReferencedSOPInstanceUID = dataset.SOPInstanceUID
        answer = pydicom.Dataset()
        answer.ReferencedSOPSequence = [item]
        _reply(handler, 200, answer.to_json().encode(), "application/dicom+json")


def _keyword(key: str) -> str:
    return pydicom.datadict.keyword_for_tag(key) or key


def _matches(value: str, wanted: str) -> bool:
    if not re.fullmatch(r"\d*-\d*", wanted):
        return value == wanted
    first, _, last = wanted.partition("-")
    return first <= value <= (last or value)


def _reply(handler, status, body, kind, *, torn=False):
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2] if torn else body)


def basic(user: str, password: str) -> str:
    """The header of basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def why_no_orthanc() -> str | None:
    """Why Orthanc cannot be started here; None if it can."""
    if shutil.which("Orthanc") is None:
        return "Orthanc is not installed (Debian: orthanc, orthanc-dicomweb)"
    return None if PLUGIN.exists() else f"Orthanc's DICOMweb plugin is not at {PLUGIN}"


class Orthanc:
    """A real server: Orthanc with its DICOMweb plugin, in a folder, on a free port of loopback.

    Args:
        folder: for its settings and database.
        user: its only user.
        password: of that user.
    """

    def __init__(self, folder: Path, *, user: str, password: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._folder, self._header = folder, basic(user, password)
        (folder / "db").mkdir(parents=True)
        settings = {
            "Name": "magenet", "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"), "HttpPort": port, "DicomServerEnabled": False,
            "RemoteAccessAllowed": False, "AuthenticationEnabled": True,
            "RegisteredUsers": {user: password}, "Plugins": [str(PLUGIN)],
            "DicomWeb": {"Enable": True, "Root": f"{PREFIX}/"},
        }  # fmt: skip
        (folder / "orthanc.json").write_text(json.dumps(settings), encoding="utf-8")
        self._root = f"http://127.0.0.1:{port}"
        self.url = self._root + PREFIX
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["Orthanc", str(self._folder / "orthanc.json")], stdout=log, stderr=log
            )
        until = time.monotonic() + ORTHANC_S
        while True:
            try:
                self.get("/system")
                return
            except OSError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        """End it; `start` goes on with the same instances."""
        self._process.terminate()
        self._process.wait()

    def put(self, content: bytes) -> None:
        """Store an instance, through its own interface."""
        self._ask("/instances", content)

    def get(self, path: str):
        """Ask its own interface."""
        return json.loads(self._ask(path, None))

    def delete(self, path: str) -> None:
        """Remove something, through its own interface."""
        self._ask(path, None, method="DELETE")

    def _ask(self, path, body, *, method=None):
        request = urllib.request.Request(self._root + path, data=body, method=method)
        request.add_header("Authorization", self._header)
        with urllib.request.urlopen(request) as answer:
            return answer.read()


def photograph(number: int, *, study: str = "1.2.3", patient: str = "P-1", **options) -> bytes:
    """A DICOM photograph with its own identifiers.

    Args:
        number: of the instance; it also changes the picture.
        study: identifier of the study.
        patient: identifier of the patient.
        options: of `dicom_files.dicom`.
    """
    dataset = pydicom.dcmread(io.BytesIO(dicom(_pixels(number), **options)))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, f"{study}.1"
    dataset.SOPInstanceUID, dataset.PatientID = f"{study}.1.{number}", patient
    return saved(dataset)


@lru_cache
def _pixels(number: int):
    return make_phantom(number, size=128).pixels
