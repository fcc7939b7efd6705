"""A small DICOMweb server."""

import pytest
from certificates import self_signed
from dicomweb_server import FakeDicomweb

from magenet_batch.dicomweb import connect_server, server


@pytest.fixture
def fake(monkeypatch):
    """A server on loopback; nobody waits between two attempts."""
    pytest.importorskip("dicomweb_client")
    for name in ("USERNAME", "PASSWORD", "TOKEN", "CA_BUNDLE"):
        monkeypatch.delenv(f"DICOMWEB_{name}", raising=False)
    monkeypatch.setattr(server, "BACKOFF_S", 0)
    connect_server.cache_clear()
    found = FakeDicomweb()
    yield found
    found.stop()
    connect_server.cache_clear()


@pytest.fixture
def secure(fake, tmp_path):
    """Start servers that speak https, each with the certificate that it is given."""
    pytest.importorskip("cryptography")
    started = []

    def start(**options):
        started.append(FakeDicomweb(self_signed(tmp_path / f"{len(started)}.pem", **options)))
        return started[-1], tmp_path / f"{len(started) - 1}.pem"

    yield start
    for one in started:
        one.stop()
