"""For all tests: patience, an S3 server, and a check of every DICOM file that is written."""

import os

import dicom_checks
import pytest
from hypothesis import settings
from s3_server import DenyingServer

from magenet_batch import storage

# A busy machine is no failure: pytest's own time limit is enough.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
os.environ.setdefault("RAY_worker_niceness", "0")  # else Ray lets a busy machine starve them


@pytest.fixture(autouse=True)
def written_dicom_conforms(monkeypatch):
    """Fail a test in which a derived DICOM file breaks a rule of PS3.3 that its source does not."""
    from magenet_batch.imaging.formats import derive

    write, worse = derive.derive, []

    def checked(pixels, *, source, **options):
        data = write(pixels, source=source, **options)
        worse.extend(dicom_checks.new_faults(data, source=source))
        return data

    monkeypatch.setattr(derive, "derive", checked)
    yield
    assert worse == []


@pytest.fixture(autouse=True)
def cache_of_its_own(monkeypatch, tmp_path):
    """What was measured on this machine before changes no test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def store_server():
    """An S3 server on a free port of loopback, with made-up credentials."""
    pytest.importorskip("moto.server")
    server = DenyingServer()
    url = server.url
    changes = {
        "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    before = {key: os.environ.get(key) for key in changes}
    os.environ.update(changes)
    storage.connect.cache_clear()
    yield server
    server.stop()
    storage.connect.cache_clear()
    for key, value in before.items():
        os.environ.pop(key) if value is None else os.environ.update({key: value})


@pytest.fixture
def endpoint(store_server):
    """The address of an S3 server that denies nothing."""
    store_server.denied, store_server.conditions = None, "heeded"
    return store_server.url


@pytest.fixture
def deny(store_server, endpoint):
    """Make the server deny requests: give it a function of method and address, or None."""

    def set_to(denied, *, status="403 Forbidden", code="AccessDenied"):
        store_server.denied, store_server.status, store_server.code = denied, status, code

    yield set_to
    store_server.denied = None


@pytest.fixture
def empty_bucket(endpoint):
    """The files of the server, with nothing but the empty bucket `results`."""
    import urllib.request

    from pyarrow.fs import S3FileSystem

    urllib.request.urlopen(f"{endpoint}/moto-api/reset", data=b"")
    files = S3FileSystem(endpoint_override=endpoint, region="us-east-1",
                         allow_bucket_creation=True)  # fmt: skip
    files.create_dir("results")
    return files
