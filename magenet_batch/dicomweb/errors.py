"""What goes wrong with a DICOMweb server, in words of the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from magenet_batch.errors import StorageError

USER, PASSWORD, TOKEN = "DICOMWEB_USERNAME", "DICOMWEB_PASSWORD", "DICOMWEB_TOKEN"
"""Environment variables with the credentials: a user and password, or a bearer token."""
CA_BUNDLE = "DICOMWEB_CA_BUNDLE"
"""Environment variable with the certificates to trust: a PEM file, or a folder of hashed names."""
_BUSY = (429, 502, 503, 504)


class DicomwebError(StorageError):
    """A DICOMweb server does not do what it was asked.

    Attributes:
        status: HTTP status of its answer; None without one.
    """

    def __init__(
        self, message: str, *, why: str = "", status: int | None = None, persistent: bool = False
    ) -> None:
        super().__init__(message, why=why, persistent=persistent)
        self.status = status


def refused(base: str, status: int, *, reason: str = "") -> DicomwebError:
    """Translate an HTTP status.

    Args:
        base: address of the server, without a query.
        status: the HTTP status of its answer.
        reason: words of the status line.

    Returns:
        The error; `persistent` if other requests would fail too.
    """
    what = f"{status} {reason}".strip()
    if status == 401:
        why = f"it refuses the credentials ({what})"
        todo = f"Set {TOKEN}, or {USER} and {PASSWORD}, then re-run the same command."
    elif status == 403:
        why = f"it does not allow this ({what})"
        todo = "Ask its administrator for permission, then re-run the same command."
    elif status in _BUSY:
        why = f"it is not available ({what})"
        todo = "Wait until it is, then re-run the same command to resume."
    elif status in (404, 405, 410):
        why = f"there is nothing at this address ({what})"
        todo = "Give the address of its DICOMweb service, such as https://HOST/dicom-web."
    else:
        why, todo = f"it answers {what}", "Its own log says why."
    return DicomwebError(
        f"{base}: {why}. {todo}", why=why, status=status, persistent=status in (401, *_BUSY)
    )


def unreachable(base: str, error: Exception) -> DicomwebError:
    """Translate an error of the connection; what the library says may quote the query."""
    why = f"it does not respond ({_cause(error)})"
    return DicomwebError(
        f"{base}: {why}. Check the address and the network, then re-run the same command.",
        why=why, persistent=True,
    )  # fmt: skip


def insecure(base: str, error: Exception) -> DicomwebError:
    """Translate an error of TLS, by what OpenSSL says."""
    said = str(error)
    if "has expired" in said or "not yet valid" in said:
        why, todo = "its certificate is not valid today", "Ask its administrator for a new one."
    elif "mismatch" in said:
        why, todo = "its certificate is for another name", "Give the address that it names."
    elif "CERTIFICATE_VERIFY_FAILED" in said:
        why = "its certificate is not trusted"
        todo = f"Set {CA_BUNDLE} to a file with that of its authority, in PEM format."
    else:
        why, todo = "it does not answer with TLS", "Does its address begin with http:// ?"
    return DicomwebError(f"{base}: {why}. {todo}", why=why, persistent=True)


def not_dicomweb(base: str) -> DicomwebError:
    """The error for an answer that is not DICOMweb."""
    why = "its answer is not DICOMweb"
    return DicomwebError(
        f"{base}: {why}. Give the address of its DICOMweb service, such as https://HOST/dicom-web.",
        why=why,
    )


@contextmanager
def translated(base: str) -> Iterator[None]:
    """Raise `DicomwebError` for what the HTTP library raises.

    Args:
        base: address of the server, for the message.
    """
    import requests

    try:
        yield
    except requests.HTTPError as error:
        if error.response is None:
            raise unreachable(base, error) from error
        reason = str(error.response.reason or "")[:80]
        raise refused(base, error.response.status_code, reason=reason) from error
    except requests.exceptions.InvalidJSONError as error:
        raise not_dicomweb(base) from error
    except requests.exceptions.SSLError as error:
        raise insecure(base, error) from error
    except requests.RequestException as error:
        raise unreachable(base, error) from error
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise not_dicomweb(base) from error


def _cause(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    said = str(error)
    for words in ("Connection refused", "Name or service not known", "No route to host"):
        if words in said:
            return words.lower()
    return "the connection failed"
