"""What a store denies, and locks in it: nothing is half there, and everything is one sentence."""

from __future__ import annotations

import json

import pytest
from jobs_fakes import fake_factory, measure_nothing

from magenet_batch import storage
from magenet_batch.cli.main import main
from magenet_batch.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_USAGE,
    StorageError,
    UsageError,
)
from magenet_batch.jobs.ledger import holder
from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.run import run_job
from magenet_batch.storage import StorePath, names_in

pytestmark = pytest.mark.slow
OUT = "s3://results/made/here"


def test_a_bucket_that_is_read_only(empty_bucket, deny, archive, capsys):
    deny(lambda asked: asked.startswith(("PUT", "POST")))
    given = ["enhance", str(archive), "-o", OUT, "--workers", "0", "--gpus", "0"]
    assert main(given) == EXIT_FAILED
    said = capsys.readouterr().err
    assert f"{OUT}/" in said and "cannot be written" in said and "AccessDenied" in said
    assert "credentials" in said and "Traceback" not in said
    assert not list(StorePath(OUT).iterdir())


def test_a_bucket_that_shows_nothing(empty_bucket, deny, options, capsys):
    deny(lambda asked: True)
    with pytest.raises(StorageError, match="ACCESS_DENIED") as caught:
        run_job(options(out=OUT), enhancer_factory=fake_factory)
    assert "credentials" in str(caught.value) and "\n" not in str(caught.value)
    for command in ("status", "report"):
        assert main([command, OUT]) == EXIT_FAILED
        assert "ACCESS_DENIED" in capsys.readouterr().err


def test_a_store_that_does_not_answer(endpoint, options, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    storage.connect.cache_clear()
    try:
        with pytest.raises(StorageError, match=r"cannot be .*network") as caught:
            run_job(options(out=OUT), enhancer_factory=fake_factory)
    finally:
        storage.connect.cache_clear()
    assert "\n" not in str(caught.value)


def test_places_that_are_refused(empty_bucket, options):
    with pytest.raises(StorageError, match="s3://nobody/x: no such bucket"):
        run_job(options(out="s3://nobody/x"), enhancer_factory=fake_factory)
    with pytest.raises(UsageError, match="single slashes"):
        run_job(options(out="s3://results//x"), enhancer_factory=fake_factory)
    with pytest.raises(UsageError, match="single slashes"):
        run_job(options(archive=("s3://results//x",)), enhancer_factory=fake_factory)
    with pytest.raises(UsageError, match="has no links"):
        options(out=OUT, kept="link")
    stranger = StorePath("s3://results/full/of/things.txt")
    stranger.write_bytes(b"x")
    with pytest.raises(UsageError, match="not empty and contains no magenet job"):
        run_job(options(out="s3://results/full"), enhancer_factory=fake_factory)
    assert names_in(StorePath("s3://results/full")) == ["of"]
    assert main(["status", "s3://results/full"]) == EXIT_USAGE
    assert main(["report", "s3://results/full"]) == EXIT_USAGE


@pytest.mark.parametrize("uri", ["gcs://b/x", "S3://b/x", "az://b/x", "s3://", "s3:///x"])
def test_other_kinds_of_stores_are_no_folders(options, archive, uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    for given in ({"out": uri}, {"archive": (uri,)}, {"archive": (str(archive), uri)}):
        with pytest.raises(UsageError, match=r"not a supported location.*s3://BUCKET"):
            run_job(options(**given), enhancer_factory=fake_factory)
    assert main(["status", uri]) == EXIT_USAGE
    assert set(tmp_path.iterdir()) == before


def test_a_store_that_fails_in_the_middle_ends_the_job(empty_bucket, deny, options):
    images = []

    def after_four(asked):
        if asked.startswith("PUT /results/made/here/images/"):
            images.append(asked)
        return len(images) > 4 and asked == images[-1]

    deny(after_four)
    with pytest.raises(StorageError, match="cannot be written"):
        run_job(options(out=OUT), enhancer_factory=fake_factory)
    assert read_status(StorePath(OUT)).state == "failed"
    deny(None)
    summary = run_job(options(out=OUT), enhancer_factory=fake_factory)
    assert summary.before > 0
    assert summary.exit_code == EXIT_DONE and summary.counts.by_status["enhanced"] == 9


def test_a_bucket_that_lets_nobody_remove_anything(
    empty_bucket, store_server, deny, options, monkeypatch
):
    measure_nothing(monkeypatch.setattr)
    store_server.conditions = "refused"
    deny(lambda asked: asked.startswith("DELETE"))
    place = StorePath(OUT)
    dead = holder.this_process() | {"pid": 2**22 + 1}
    (place / f".magenet.{'0' * 32}.lock").write_text(json.dumps(dead))
    assert run_job(options(out=OUT), enhancer_factory=fake_factory).exit_code == EXIT_DONE
    assert len(list(place.glob(".magenet*.lock"))) == 2, "its own stays too"
    assert read_status(place).state == "running", "as long as its process lives"
    store_server.conditions = "heeded"
    for lock in place.glob(".magenet*.lock"):
        lock.write_text(json.dumps(dead))
    assert run_job(options(out=OUT), enhancer_factory=fake_factory).exit_code == EXIT_DONE
    assert read_status(place).state == "complete", "a lock is released without being removed"
