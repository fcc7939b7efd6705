"""What a DICOMweb server is asked, and what its refusals become."""

from __future__ import annotations

import pydicom
import pytest
from dicomweb_server import basic, photograph

from magenet_batch.dicomweb import DicomwebError, Instance, Server, server
from magenet_batch.dicomweb.server import only_part
from magenet_batch.errors import ImageError, MissingExtraError, UsageError

FIRST = Instance("1.2.3", "1.2.3.1", "1.2.3.1.0")


@pytest.fixture
def full(fake):
    for number in range(5):
        fake.put(photograph(number))
    fake.put(photograph(9, study="7.8", patient="P-2"))
    return fake


def test_everything_is_found_page_by_page(full, monkeypatch):
    monkeypatch.setattr(server, "PAGE", 2)
    found = [instance for instance, _ in Server(full.url).instances("1.2.3")]
    assert found == [FIRST._replace(sop=f"1.2.3.1.{n}") for n in range(5)]
    full.ignores_offset = True
    monkeypatch.setattr(server, "PAGE", 10)
    assert len(Server(full.url).instances("1.2.3")) == 5


def test_studies_match_a_query(full):
    there = Server(full.url)
    assert there.studies({"PatientID": "P-2"}) == ["7.8"]
    assert there.studies({"StudyDate": "20240101-20240131"}) == ["1.2.3", "7.8"]
    assert there.studies({"StudyDate": "20250101-"}) == []


def test_an_instance_arrives_byte_for_byte(full):
    there = Server(full.url)
    assert there.fetch(FIRST) == full.held[FIRST.sop]
    assert there.has("1.2.3", FIRST.sop) and not there.has("1.2.3", "1.1")

    def check(length):
        raise ImageError("too_large", "too large")

    with pytest.raises(ImageError):
        there.fetch(FIRST, check=check)


def test_what_this_program_made_is_recognised(full):
    there = Server(full.url)
    for tells in (("DerivationDescription",), ()):
        full.tells = tells
        for sop, text, own in (
            ("2.25.7", "magenet 1.0 (enhanced; weights x)", True), ("2.25.8", "sharpened", False),
            ("2.25.9", None, False), ("1.2.7", "magenet 1.0", False),
        ):  # fmt: skip
            made = pydicom.dcmread(pydicom.filebase.DicomBytesIO(full.held[FIRST.sop]))
            made.SOPInstanceUID, made.StudyInstanceUID = sop, "5.5"
            made.file_meta.MediaStorageSOPInstanceUID = sop
            if text is not None:
                made.DerivationDescription = text
            there.store(made)
            entries = dict(there.instances("5.5"))
            instance = Instance("5.5", FIRST.series, sop)
            assert there.enhanced_before(instance, entries[instance]) is own


def test_an_answer_that_is_torn(full):
    full.torn = True
    with pytest.raises(DicomwebError, match="does not respond") as caught:
        Server(full.url).fetch(FIRST)
    assert caught.value.persistent
    assert full.count("GET") == server.TRIES


@pytest.mark.parametrize(
    ("status", "persistent", "said"),
    [
        (401, True, "DICOMWEB_TOKEN"), (403, False, "permission"), (500, False, "500"),
        (404, False, "not have it any more"), (503, True, "not available"), (406, False, "406"),
    ],
)  # fmt: skip
def test_refusals_are_told_apart(full, status, persistent, said):
    full.answers = lambda asked: status
    with pytest.raises(DicomwebError, match=said) as caught:
        Server(full.url).fetch(FIRST)
    assert (caught.value.status, caught.value.persistent) == (status, persistent)


def test_a_server_that_was_busy_for_a_moment(full):
    full.answers = lambda asked: 503 if len(full.asked) < 3 else None
    assert Server(full.url).fetch(FIRST) == full.held[FIRST.sop]


def test_no_server_and_no_dicomweb(fake):
    with pytest.raises(DicomwebError, match=r"connection refused.*network") as caught:
        Server("http://127.0.0.1:9/dicom-web").studies({"PatientID": "secret"})
    assert caught.value.persistent and "secret" not in str(caught.value)
    elsewhere = fake.url.replace("dicom-web", "app")
    with pytest.raises(DicomwebError, match="not DICOMweb"):
        Server(elsewhere).studies({})


def test_credentials_come_from_the_environment(full, monkeypatch, tmp_path):
    full.authorization = "Bearer t0ken"
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(DicomwebError, match="refuses the credentials"):
        Server(full.url).studies({})
    monkeypatch.setenv("DICOMWEB_TOKEN", "t0ken")
    assert Server(full.url).studies({}) and Server(full.url).fetch(FIRST)
    monkeypatch.setenv("DICOMWEB_USERNAME", "me")
    with pytest.raises(UsageError, match="not both"):
        Server(full.url)
    monkeypatch.delenv("DICOMWEB_TOKEN")
    with pytest.raises(UsageError, match="one of them is missing"):
        Server(full.url)
    monkeypatch.setenv("DICOMWEB_PASSWORD", "pass")
    full.authorization = basic("me", "pass")
    assert Server(full.url).studies({})


def test_storing_is_confirmed(full, monkeypatch):
    there, made = Server(full.url), pydicom.Dataset()
    made.StudyInstanceUID, made.SOPInstanceUID = "1.2.3", "1.1"
    answer = pydicom.Dataset()
    monkeypatch.setattr(there._client, "store_instances", lambda datasets: answer)
    with pytest.raises(DicomwebError, match="does not list it"):
        there.store(made)
    made.SOPInstanceUID = FIRST.sop
    there.store(made)
    item = pydicom.Dataset()
    item.FailureReason = 0x0122
    answer.FailedSOPSequence = [item]
    with pytest.raises(DicomwebError, match="0122H"):
        there.store(made)


def test_parts_of_an_answer():
    assert only_part(b"as it is", "application/dicom") == b"as it is"
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\nthe\r\n\r\nfile\r\n--b--\r\n"
    assert (
        only_part(body, 'Multipart/Related; type="application/dicom"; boundary="b"')
        == b"the\r\n\r\nfile"
    )
    with pytest.raises(ValueError):
        only_part(body[:-9], "multipart/related; boundary=b")


def test_the_extra_is_named(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"magenet-batch\[dicomweb\]"):
        Server("http://127.0.0.1/dicom-web")
