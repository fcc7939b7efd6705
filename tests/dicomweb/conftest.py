"""A small DICOMweb server."""

import pytest
from dicomweb_server import FakeDicomweb

from magenet_batch.dicomweb import connect_server, server


@pytest.fixture
def fake(monkeypatch):
    """A server on loopback; nobody waits between two attempts."""
    pytest.importorskip("dicomweb_client")
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"DICOMWEB_{name}", raising=False)
    monkeypatch.setattr(server, "BACKOFF_S", 0)
    connect_server.cache_clear()
    found = FakeDicomweb()
    yield found
    found.stop()
    connect_server.cache_clear()
