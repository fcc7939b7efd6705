"""Servers with photographs, and commands that read from them and store to them."""

from __future__ import annotations

from urllib.parse import urlsplit

import numpy as np
import pytest
from certificates import self_signed
from dicomweb_job import PASSWORD, TOKEN, USER
from dicomweb_server import FakeDicomweb, Orthanc, basic, photograph, why_no_orthanc
from jobs_fakes import FakeEnhancer
from safetensors.numpy import save_file
from tls_proxy import TlsProxy

from magenet_batch.cli.main import main
from magenet_batch.dicomweb import connect_server, server
from magenet_batch.jobs import run


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """Credentials, no delays, a network that brightens, and an empty working folder."""
    for name in ("DICOMWEB_TOKEN", "DICOMWEB_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DICOMWEB_USERNAME", USER)
    monkeypatch.setenv("DICOMWEB_PASSWORD", PASSWORD)
    monkeypatch.setattr(server, "BACKOFF_S", 0)
    monkeypatch.setattr(run, "load_enhancer", lambda *how, **weights: FakeEnhancer())
    monkeypatch.chdir(tmp_path)
    metadata = {"format": "magenet-1", "config": "{}", "name": "fake"}
    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "fake.safetensors", metadata=metadata)
    connect_server.cache_clear()
    yield
    connect_server.cache_clear()


@pytest.fixture
def fake():
    found = FakeDicomweb()
    found.authorization = basic(USER, PASSWORD)
    yield found
    found.stop()


@pytest.fixture(scope="session")
def running_orthanc(tmp_path_factory):
    if why := why_no_orthanc():
        pytest.skip(why)
    found = Orthanc(tmp_path_factory.mktemp("orthanc"), user=USER, password=PASSWORD)
    yield found
    found.stop()


@pytest.fixture
def orthanc(running_orthanc):
    """Orthanc, without any instances."""
    for study in running_orthanc.get("/studies"):
        running_orthanc.delete(f"/studies/{study}")
    return running_orthanc


@pytest.fixture
def encrypted(orthanc, monkeypatch, tmp_path):
    """A proxy with a certificate of its own before Orthanc, which holds two photographs.

    Orthanc 1.10.1 of Debian has TLS itself, but ends with a segmentation fault at its first use.
    """
    pytest.importorskip("cryptography")
    certificate = self_signed(tmp_path / "hospital.pem")
    monkeypatch.setenv("DICOMWEB_CA_BUNDLE", str(certificate))
    for number in range(2):
        orthanc.put(photograph(number))
    found = TlsProxy(urlsplit(orthanc.url).port, certificate=certificate)
    yield found
    found.stop()


@pytest.fixture(params=["fake", "orthanc"])
def pacs(request):
    """A server with two photographs of one study, and one of another patient."""
    found = request.getfixturevalue(request.param)
    for content in (photograph(0), photograph(1), photograph(2, study="7.8", patient="P-2")):
        found.put(content)
    return found


@pytest.fixture
def call(capsys):
    """Run a command: exit code, standard output, standard error."""

    def run_command(*arguments):
        code = main(list(arguments))
        said = capsys.readouterr()
        assert PASSWORD not in said.out + said.err and "Traceback" not in said.err
        return code, said.out, said.err

    return run_command


@pytest.fixture
def enhance(call):
    """Enhance what an address names, with the network that brightens, in one process."""

    def run_enhance(address, *more):
        return call(
            "enhance", f"dicomweb+{address}", "-o", "out", "--weights", "fake.safetensors",
            "--workers", "0", "--gpus", "0", "--policy", "all", "--shard-size", "1", *more,
        )  # fmt: skip

    return run_enhance


@pytest.fixture
def secure(monkeypatch, tmp_path):
    """The small server behind https, with a token, two photographs and a certificate of its own."""
    pytest.importorskip("cryptography")
    for name in ("DICOMWEB_USERNAME", "DICOMWEB_PASSWORD"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("DICOMWEB_TOKEN", TOKEN)
    monkeypatch.setenv("DICOMWEB_CA_BUNDLE", str(self_signed(tmp_path / "hospital.pem")))
    found = FakeDicomweb(tmp_path / "hospital.pem")
    found.authorization = f"Bearer {TOKEN}"
    for number in range(2):
        found.put(photograph(number))
    yield found
    found.stop()
