"""Certificates and credentials: what is trusted, what is sent, and what is said otherwise."""

from __future__ import annotations

import time

import pytest
from dicomweb_server import basic, photograph

from magenet_batch.dicomweb import DicomwebError, Server, server
from magenet_batch.errors import UsageError

TOKEN = "t0ken-of-a-hospital"


@pytest.fixture(autouse=True)
def no_other_bundle(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["DICOMWEB_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_a_certificate_is_trusted_if_it_is_named(name, secure, monkeypatch):
    there, certificate = secure()
    there.put(photograph(0))
    with pytest.raises(DicomwebError, match=r"not trusted\. Set DICOMWEB_CA_BUNDLE") as caught:
        Server(there.url).studies({})
    assert caught.value.persistent
    monkeypatch.setenv(name, str(certificate))
    assert Server(there.url).studies({}) == ["1.2.3"]
    assert Server(there.url).instances("1.2.3")[0][0].sop == "1.2.3.1.0"


def test_our_own_variable_comes_first(secure, monkeypatch):
    (there, certificate), (_, other) = secure(), secure()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    with pytest.raises(DicomwebError, match="not trusted"):
        Server(there.url).studies({})
    monkeypatch.setenv("DICOMWEB_CA_BUNDLE", str(certificate))
    assert Server(there.url).studies({}) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [({"days": -1}, "not valid today"), ({"address": "127.0.0.9"}, "for another name")],
)
def test_named_certificates_are_still_checked(options, said, secure, monkeypatch):
    there, certificate = secure(**options)
    monkeypatch.setenv("DICOMWEB_CA_BUNDLE", str(certificate))
    with pytest.raises(DicomwebError, match=said):
        Server(there.url).studies({})


def test_distrust_is_final_at_once(secure, monkeypatch):
    there, _ = secure()
    monkeypatch.setattr(server, "BACKOFF_S", 30)
    began = time.monotonic()
    with pytest.raises(DicomwebError, match="not trusted"):
        Server(there.url).studies({})
    assert time.monotonic() - began < 20


def test_http_at_an_address_of_https(fake):
    with pytest.raises(DicomwebError, match=r"does not answer with TLS.*http://"):
        Server(fake.url.replace("http", "https")).studies({})


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ("no", "no certificate")])
def test_certificates_that_cannot_be_read(content, said, fake, monkeypatch, tmp_path):
    if content is not None:
        (tmp_path / "bundle.pem").write_text(content)
    monkeypatch.setenv("DICOMWEB_CA_BUNDLE", str(tmp_path / "bundle.pem"))
    with pytest.raises(UsageError, match=f"DICOMWEB_CA_BUNDLE: .*{said}"):
        Server(fake.url)


def test_a_token_is_sent_without_the_end_of_its_line(fake, monkeypatch):
    fake.authorization = f"Bearer {TOKEN}"
    monkeypatch.setenv("DICOMWEB_TOKEN", f"{TOKEN}\n")
    assert Server(fake.url).studies({}) == []


def test_names_with_accents_are_sent(fake, monkeypatch):
    fake.authorization = basic("Jürgen", "Straße")
    monkeypatch.setenv("DICOMWEB_USERNAME", "Jürgen")
    monkeypatch.setenv("DICOMWEB_PASSWORD", "Straße")
    assert Server(fake.url).studies({}) == []


@pytest.mark.parametrize("token", ["to\nken", "tök\u20acn", "a\x1b[2J"])
def test_tokens_that_no_header_can_hold_are_refused_without_showing_them(token, fake, monkeypatch):
    monkeypatch.setenv("DICOMWEB_TOKEN", token)
    with pytest.raises(UsageError, match="DICOMWEB_TOKEN has characters") as caught:
        Server(fake.url)
    assert token not in str(caught.value)


def test_another_server_never_sees_the_credentials(fake, secure, monkeypatch):
    other, certificate = secure()
    other.authorization = f"Bearer {TOKEN}"
    fake.moved_to = other.url
    monkeypatch.setenv("DICOMWEB_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("DICOMWEB_TOKEN", TOKEN)
    with pytest.raises(DicomwebError, match="refuses the credentials"):
        Server(fake.url).studies({})
    assert other.count("GET") == 1, "the redirection was followed, without the token"
