"""From a DICOMweb server and back: a small server of our own, and Orthanc where it is installed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pydicom
import pytest
from dicomweb_job import PASSWORD, STUDY, USER, rows, written
from dicomweb_server import photograph
from jobs_fakes import FakeEnhancer

from magenet_batch.dicomweb import connect_server, server
from magenet_batch.errors import EXIT_DONE, EXIT_FAILED, EXIT_SOME_FAILED, EXIT_USAGE
from magenet_batch.jobs import run

pytest.importorskip("dicomweb_client")


def test_a_study_goes_there_and_back_once(pacs, enhance, call):
    code, _, said = enhance(f"{pacs.url}/studies/{STUDY}")
    assert code == EXIT_DONE and "2 images" in said
    first, second = rows()
    assert first["image_id"] == f"{STUDY}/{STUDY}.1/{STUDY}.1.0.dcm"
    assert first["source"].endswith(f"/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.0")
    assert {r["status"] for r in (first, second)} == {"enhanced"}

    code, out, said = call("send", "out", pacs.url)
    assert code == EXIT_DONE and "2 delivered DICOM images, 0 sent before, 2 to send" in said
    assert "2 stored, 0 were on the server already" in out
    outputs = sorted(Path("out/images").rglob("*.dcm"))
    made = {pydicom.dcmread(path).SOPInstanceUID: path for path in outputs}
    there = server.Server(pacs.url)
    held = {instance.sop: instance for instance, _ in there.instances(STUDY)}
    assert len(held) == 4 and made.keys() < held.keys()
    for sop, path in made.items():
        assert there.fetch(held[sop]) == path.read_bytes()

    code, out, _ = call("send", "out", pacs.url, "--json")
    assert code == EXIT_DONE and json.loads(out)["sent_before"] == 2
    code, _, said = enhance(f"{pacs.url}/studies/{STUDY}")
    assert code == EXIT_DONE and "2 enhanced by magenet before, skipped" in said
    assert "Nothing to do" in said
    assert len(there.instances(STUDY)) == 4
    assert PASSWORD not in written() and USER not in written()


def test_a_query_is_followed_and_not_recorded(pacs, enhance):
    code, _, said = enhance(f"{pacs.url}/studies?PatientID=P-2")
    assert code == EXIT_DONE
    assert [row["image_id"] for row in rows()] == ["7.8/7.8.1/7.8.1.2.dcm"]
    assert "P-2" not in written() + said
    identity = json.loads(Path("out/run.json").read_text())["identity"]
    assert identity["archive"] == [f"dicomweb+{pacs.url}/studies?PatientID=***"]
    assert enhance(f"{pacs.url}/studies?PatientID=P-2")[0] == EXIT_DONE
    code, _, said = enhance(f"{pacs.url}/studies?PatientID=P-1")
    assert code == EXIT_USAGE and "2 images added" in said
    code, _, said = enhance(f"{pacs.url}/studies?PatientID=nobody")
    assert code == EXIT_USAGE


def test_wrong_addresses_credentials_and_empty_studies(pacs, enhance, call, monkeypatch):
    code, _, said = enhance(f"{pacs.url}/studies/9.9")
    assert code == EXIT_USAGE and f"No images in dicomweb+{pacs.url}/studies/9.9" in said
    code, _, said = enhance(f"{pacs.url.replace('dicom-web', 'elsewhere')}/studies/{STUDY}")
    assert code == EXIT_USAGE and "cannot be listed" in said and "DICOMweb service" in said
    monkeypatch.setenv("DICOMWEB_PASSWORD", "wrong")
    connect_server.cache_clear()
    code, _, said = enhance(f"{pacs.url}/studies/{STUDY}")
    assert code == EXIT_FAILED and "refuses the credentials (401" in said
    assert not Path("out").exists()
    code, _, said = enhance("http://127.0.0.1:9/dicom-web/studies/1.2")
    assert code == EXIT_FAILED and "does not respond (connection refused)" in said


def test_a_server_that_stops_in_the_middle(pacs, enhance, call, monkeypatch):
    address = f"{pacs.url}/studies/{STUDY}"
    port = getattr(pacs, "port", None)

    class Stopping(FakeEnhancer):
        def enhance(self, pixels, fov, **how):
            if not self.stopped:
                Stopping.stopped = True
                pacs.stop()
                connect_server.cache_clear()  # an open connection would outlive the server
            return super().enhance(pixels, fov, **how)

    Stopping.stopped = False
    monkeypatch.setattr(run, "load_enhancer", lambda *how, **weights: Stopping())
    code, _, said = enhance(address)
    try:
        assert code == EXIT_FAILED and "does not respond" in said and "re-run" in said
        assert len(rows()) < 2 and not [r for r in rows() if r["status"] == "failed"]
        code, _, said = enhance(address)
        assert code == EXIT_FAILED and "does not respond" in said
    finally:
        pacs.start(*([] if port is None else [port]))
    assert enhance(address)[0] == EXIT_DONE
    assert [r["status"] for r in rows()] == ["enhanced"] * 2

    pacs.stop()
    code, _, said = call("send", "out", pacs.url)
    pacs.start(*([] if port is None else [port]))
    assert code == EXIT_FAILED and "does not respond" in said
    assert call("send", "out", pacs.url)[0] == EXIT_DONE


def test_an_instance_that_cannot_be_had_is_a_row(fake, enhance, call):
    for number in range(2):
        fake.put(photograph(number))
    address = f"{fake.url}/studies/{STUDY}"
    fake.answers = lambda asked: 500 if asked.endswith(f"/instances/{STUDY}.1.0") else None
    code, _, _ = enhance(address)
    assert code == EXIT_SOME_FAILED
    failed = rows()[0]
    assert (failed["status"], failed["reason"]) == ("failed", "unreadable")
    assert "cannot be downloaded: it answers 500" in failed["message"]
    fake.answers = lambda asked: None
    assert enhance(address, "--retry-failed")[0] == EXIT_DONE


def test_what_is_no_photograph_is_not_listed(fake, enhance):
    fake.put(photograph(0))
    other = pydicom.dcmread(io.BytesIO(photograph(1)))
    other.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    buffer = io.BytesIO()
    other.save_as(buffer)
    fake.put(buffer.getvalue())
    code, _, said = enhance(f"{fake.url}/studies/{STUDY}")
    assert code == EXIT_DONE and len(rows()) == 1
    assert "ignored by SOP class: 1 Encapsulated PDF Storage" in said


def test_a_good_original_stays_as_the_server_has_it(fake, enhance, call):
    content = photograph(0)
    fake.put(content)
    code, _, _ = enhance(f"{fake.url}/studies/{STUDY}", "--policy", "standard",
                         "--policy-set", "good=0", "--policy-set", "reject=off")  # fmt: skip
    assert code == EXIT_DONE and rows()[0]["status"] == "kept"
    assert (Path("out") / rows()[0]["output"]).read_bytes() == content
    code, out, _ = call("send", "out", fake.url)
    assert code == EXIT_DONE and "0 stored, 1 were on the server already" in out
    assert fake.count("POST") == 0


def test_a_crash_between_storing_and_recording_stores_nothing_twice(fake, enhance, call):
    for number in range(2):
        fake.put(photograph(number))
    enhance(f"{fake.url}/studies/{STUDY}")
    assert call("send", "out", fake.url)[0] == EXIT_DONE
    for record in Path("out/sent").rglob("*.json"):
        record.write_text("torn")
    code, out, _ = call("send", "out", fake.url)
    assert code == EXIT_DONE and "0 stored, 2 were on the server already" in out
    asked = len(fake.asked)
    assert "Nothing to send" in call("send", "out", f"dicomweb+{fake.url}/")[1]
    assert (fake.count("POST"), len(fake.asked)) == (2, asked)


def test_images_that_a_server_refuses_are_told_and_tried_again(fake, enhance, call):
    for number in range(2):
        fake.put(photograph(number))
    enhance(f"{fake.url}/studies/{STUDY}")
    posts = iter([409, None, None])
    fake.answers = lambda asked: next(posts) if asked.startswith("POST") else None
    code, out, _ = call("send", "out", fake.url)
    assert code == EXIT_SOME_FAILED and "1 could not be stored" in out and "409" in out
    code, out, _ = call("send", "out", fake.url, "--dry-run")
    assert code == EXIT_DONE and "1 sent before, 1 to send" in out and "Nothing was sent" in out
    code, out, _ = call("send", "out", fake.url)
    assert code == EXIT_DONE and "1 stored, 0 were" in out


def test_what_cannot_be_sent(fake, enhance, call, tmp_path):
    assert call("send", "nothing", fake.url)[0] == EXIT_USAGE
    fake.put(photograph(0))
    enhance(f"{fake.url}/studies/{STUDY}", "--output-format", "png")
    code, _, said = call("send", "out", fake.url)
    assert code == EXIT_USAGE and "no delivered DICOM images" in said
    code, _, said = call("send", "out", f"{fake.url}/studies/1.2")
    assert code == EXIT_USAGE and "only the address of the service" in said


def test_addresses_in_the_wrong_place(fake, enhance, call):
    code, _, said = call("enhance", f"{fake.url}/studies/{STUDY}", "-o", "out")
    assert code == EXIT_USAGE and "write dicomweb+ before the address" in said
    code, _, said = call("enhance", "archive", "-o", f"dicomweb+{fake.url}")
    assert code == EXIT_USAGE and "magenet send OUT URL" in said
    code, _, said = enhance(f"{fake.url}/studies/{STUDY}", "--kept", "link")
    assert code == EXIT_USAGE and "cannot be linked to" in said


def test_a_plan_is_shown_without_fetching(fake, enhance):
    fake.put(photograph(0))
    code, out, _ = enhance(f"{fake.url}/studies/{STUDY}", "--dry-run")
    assert code == EXIT_DONE and "1 images" in out and "no estimate" in out
    assert not [asked for asked in fake.asked if asked.endswith(".1.0")]


@pytest.mark.slow
def test_workers_in_their_own_processes(pacs, call):
    given = ["assess", f"dicomweb+{pacs.url}/studies", "-o", "grades"]
    code, _, said = call(*given)
    assert code == EXIT_DONE and "3 images" in said


@pytest.mark.slow
def test_a_worker_in_its_own_process_loses_the_server(fake, call):
    fake.put(photograph(0))
    fake.answers = lambda asked: 503 if asked.endswith(".1.0") else None
    given = ["assess", f"dicomweb+{fake.url}/studies", "-o", "grades"]
    code, _, said = call(*given)
    assert code == EXIT_FAILED and "is not available (503" in said and "resume" in said
    fake.answers = lambda asked: None
    assert call(*given)[0] == EXIT_DONE
