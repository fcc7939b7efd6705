"""Addresses on DICOMweb servers, and what of them may be shown."""

from __future__ import annotations

import pytest

from magenet_batch.dicomweb.address import (
    Instance,
    is_dicomweb,
    is_uid,
    masked,
    parse_address,
    parse_archive,
    parse_base,
    source_of,
)
from magenet_batch.errors import UsageError

BASE = "dicomweb+http://host:8042/dicom-web"


def test_a_study_a_series_and_an_instance():
    found = parse_archive(f"{BASE}/studies/1.2/series/3.4/instances/5.6")
    assert (found.base, found.instance) == (
        "http://host:8042/dicom-web",
        Instance("1.2", "3.4", "5.6"),
    )
    assert source_of(found.base, found.instance) == f"{BASE}/studies/1.2/series/3.4/instances/5.6"
    assert found.instance.key == "1.2/3.4/5.6.dcm"
    found = parse_archive(f"{BASE}/studies/1.2/")
    assert (found.study, found.series, found.sop) == ("1.2", None, None)
    assert parse_archive("dicomweb+https://host/a/b/c/studies/1").base == "https://host/a/b/c"


def test_a_query_with_or_without_studies():
    for path in (f"{BASE}/studies?", f"{BASE}?"):
        found = parse_archive(f"{path}StudyDate=20240101-20240131&PatientID=a%20b")
        assert found.base == "http://host:8042/dicom-web"
        assert found.query == (("StudyDate", "20240101-20240131"), ("PatientID", "a b"))
    assert parse_archive(f"{BASE}?00100020=7").query == (("00100020", "7"),)
    assert parse_archive(f"{BASE}/studies").study is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BASE, "says not which studies"),
        ("dicomweb+http://", "not the address of a DICOMweb server"),
        ("dicomweb+http://host:port/x", "not a valid address"),
        ("dicomweb+http://me:secret@host/dicom-web/studies/1", "DICOMWEB_PASSWORD"),
        (f"{BASE}/studies/../../x", "not the address of studies"),
        (f"{BASE}/studies/..", "not a DICOM unique identifier"),
        (f"{BASE}/studies/1.2/instances/3", "not the address of studies"),
        (f"{BASE}/studies/1.2?PatientID=7", "either a study or a query"),
        (f"{BASE}?PatientId=7", "did you mean 'PatientID'"),
        (f"{BASE}?limit=7", "no DICOM attribute is called 'limit'"),
        (f"{BASE}?PatientID=", "PatientID has no value"),
    ],
)  # fmt: skip
def test_addresses_that_are_refused(text, said):
    with pytest.raises(UsageError, match=said) as caught:
        parse_archive(text)
    assert "secret" not in str(caught.value) and "=7" not in str(caught.value)


def test_the_address_of_a_service():
    assert parse_base("https://host/dicom-web/") == parse_base("dicomweb+https://host/dicom-web")
    for text in ("https://host/dicom-web/studies/1", "https://host/x?PatientID=1", "ftp://host/x"):
        with pytest.raises(UsageError):
            parse_base(text)
    with pytest.raises(UsageError, match="not the address of an instance"):
        _ = parse_address(f"{BASE}/studies/1").instance


def test_values_of_queries_are_hidden():
    assert (
        masked(f"{BASE}/studies?PatientID=7&StudyDate=2")
        == f"{BASE}/studies?PatientID=***&StudyDate=***"
    )
    assert masked(f"{BASE}/studies/1.2") == f"{BASE}/studies/1.2"
    assert masked("photos?PatientID=7") == "photos?PatientID=7"
    assert is_dicomweb("DICOMWEB+HTTPS://h/x") and not is_dicomweb("https://h/x")


@pytest.mark.parametrize("text", ["", "1..2", ".1", "1.2/..", "a", "1" * 65, "1.2\n"])
def test_texts_that_are_no_identifiers(text):
    assert not is_uid(text)
