"""Jobs on servers behind TLS, with a token, in this process and with Ray."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from certificates import self_signed
from dicomweb_job import PASSWORD, STUDY, TOKEN, rows, written

from magenet_batch.dicomweb import connect_server
from magenet_batch.errors import EXIT_DONE, EXIT_FAILED

pytest.importorskip("dicomweb_client")


def test_there_and_back_over_tls_with_a_token_that_is_nowhere_kept(
    secure, enhance, call, monkeypatch
):
    code, _, said = enhance(f"{secure.url}/studies/{STUDY}")
    assert code == EXIT_DONE and TOKEN not in said + written()
    code, out, said = call("send", "out", secure.url)
    assert code == EXIT_DONE and "2 stored" in out and TOKEN not in out + said + written()
    code, _, said = call("report", "out", "--format", "html")
    page = Path("out/report.html").read_text()
    assert code == EXIT_DONE and TOKEN not in page + said
    monkeypatch.delenv("DICOMWEB_CA_BUNDLE")
    connect_server.cache_clear()
    code, _, said = enhance(f"{secure.url}/studies/{STUDY}", "--retry-failed")
    assert code == EXIT_FAILED and "its certificate is not trusted" in said


def test_there_and_back_through_a_proxy_to_orthanc(
    encrypted, orthanc, enhance, call, monkeypatch, tmp_path
):
    service = f"https://127.0.0.1:{encrypted.port}/dicom-web"
    assert enhance(f"{service}/studies/{STUDY}")[0] == EXIT_DONE
    code, out, said = call("send", "out", service)
    assert code == EXIT_DONE and "2 stored" in out and PASSWORD not in out + said + written()
    assert len(orthanc.get("/instances")) == 4 and encrypted.connections
    for bundle in ("", str(self_signed(tmp_path / "another.pem"))):
        monkeypatch.setenv("DICOMWEB_CA_BUNDLE", bundle)
        connect_server.cache_clear()
        code, _, said = enhance(f"{service}/studies/{STUDY}", "--retry-failed")
        assert code == EXIT_FAILED and "its certificate is not trusted" in said


@pytest.mark.ray
def test_workers_of_ray_fetch_over_tls_with_the_token(secure, call):
    given = ["assess", f"dicomweb+{secure.url}/studies", "-o", "out", "--workers", "2",
             "--shard-size", "1"]  # fmt: skip
    code, _, said = call(*given)
    assert code == EXIT_DONE and "Ray" in said and TOKEN not in said + written()
    assert [row["status"] for row in rows()] == ["assessed"] * 2
    assert secure.count("GET") > 2


@pytest.mark.ray
def test_workers_of_ray_lose_a_server(secure, call):
    secure.answers = lambda asked: 503 if re.search(r"/instances/[\d.]+$", asked) else None
    given = ["assess", f"dicomweb+{secure.url}/studies", "-o", "out", "--workers", "1"]
    code, _, said = call(*given)
    assert code == EXIT_FAILED and "is not available (503" in said and "resume" in said
    secure.answers = lambda asked: None
    assert call(*given)[0] == EXIT_DONE
