"""The HTTP session with a DICOMweb server: credentials, trusted certificates, retries."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magenet_batch.dicomweb.errors import CA_BUNDLE, PASSWORD, TOKEN, USER
from magenet_batch.errors import UsageError

if TYPE_CHECKING:
    import requests

_BUNDLES = (CA_BUNDLE, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def open_session(*, tries: int, backoff_s: float) -> requests.Session:
    """Open a session that identifies the user, and repeats requests while a server is busy.

    Args:
        tries: number of attempts before a server counts as unreachable.
        backoff_s: delay before the second attempt, seconds; it doubles each time.

    Raises:
        UsageError: credentials are incomplete, or the certificates cannot be read.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from requests.auth import AuthBase, HTTPBasicAuth
    from urllib3.util import Retry

    user, password, token = (_credential(name) for name in (USER, PASSWORD, TOKEN))
    if token and user:
        raise UsageError(f"Set either {TOKEN}, or {USER} and {PASSWORD}, not both.")
    if bool(user) != bool(password):
        raise UsageError(f"Set both {USER} and {PASSWORD}; one of them is missing.")
    basic = HTTPBasicAuth(user.encode(), password.encode()) if user else None  # RFC 7617, 2.1
    trusted = _trusted_certificates()

    class Authorized(AuthBase):
        """Adds the credentials, as one object that no `.netrc` replaces."""

        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers.pop("Host", None)  # the library names it without its port
            if token:
                request.headers["Authorization"] = f"Bearer {token}"
            return basic(request) if basic is not None else request

    class Trusting(HTTPAdapter):
        """Trusts the certificates of our own variable before those of the library's."""

        def send(self, *request: Any, **how: Any) -> requests.Response:
            return super().send(*request, **{**how, "verify": trusted or True})

    session = requests.Session()
    session.auth = Authorized()
    again = Retry(
        total=tries - 1, other=0, backoff_factor=backoff_s,  # other: certificates
        status_forcelist=(429, 502, 503, 504), raise_on_status=False,
    )  # fmt: skip
    session.mount("http://", HTTPAdapter(max_retries=again))
    session.mount("https://", Trusting(max_retries=again))
    return session


def _credential(name: str) -> str:
    """A variable without the line end that files of secrets have; empty if it is not set."""
    value = os.environ.get(name, "").strip()
    if not value.isprintable() or (name == TOKEN and not value.isascii()):
        raise UsageError(
            f"{name} has characters that HTTP cannot carry. Check where it comes from."
        )
    return value


def _trusted_certificates() -> str | None:
    """Path of the certificates to trust instead of the usual ones; None for those."""
    for name in _BUNDLES:
        path = os.environ.get(name)
        if not path:
            continue
        try:
            if not Path(path).is_dir():
                ssl.create_default_context(cafile=path)
        except (OSError, ValueError) as error:
            why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.args[-1]
            raise UsageError(
                f"{name}: {path}: {why}. Give a file of certificates in PEM format."
            ) from error
        return path
    return None
