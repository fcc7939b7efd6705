"""A lease ends when it is not renewed, and nothing changes rows without it."""

from __future__ import annotations

import json
import os
import time

import pytest
from jobs_fakes import fake_factory, measure_nothing, rows

from magenet_batch.errors import JobError, StorageError
from magenet_batch.jobs.ledger.holder import LEASE_S, STALE_AFTER_S, Host
from magenet_batch.jobs.ledger.lease import Lease
from magenet_batch.jobs.ledger.ledger import Ledger
from magenet_batch.jobs.ledger.lock import job_lock
from magenet_batch.jobs.plan.plan import Plan
from magenet_batch.jobs.run import run_job
from magenet_batch.records.layout import PLAN, lock_name, rows_file
from magenet_batch.storage import names_in, write_new


class FakeHost(Host):
    """A host whose clock moves when it sleeps."""

    def __init__(self, name: str = "here") -> None:
        self.now, self.asleep, self._name = 0.0, [], name

    @property
    def name(self) -> str:
        return self._name

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.asleep.append(seconds)
        for action in self.meanwhile:
            action()

    meanwhile: tuple = ()


class Store:
    """Renewals that succeed, fail or are refused."""

    def __init__(self) -> None:
        self.answer: bool | Exception = True

    def renew(self) -> bool:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def a_lease(*, revives: bool) -> tuple[Lease, FakeHost, Store]:
    host, store = FakeHost(), Store()
    return (
        Lease("out", how="", renew=store.renew, began=0.0, host=host, revives=revives),
        host,
        store,
    )


@pytest.mark.parametrize("revives", [True, False])
def test_a_lease_lasts_from_the_request_of_its_last_renewal(revives):
    held, host, store = a_lease(revives=revives)
    host.now = LEASE_S - 1
    held.renew()
    host.now = 2 * LEASE_S - 2
    assert held.valid
    store.answer = StorageError("no answer")
    held.renew()
    assert held.valid and not held.lost
    host.now = 2 * LEASE_S
    assert not held.valid
    assert LEASE_S < STALE_AFTER_S, "others wait for longer"


def test_a_lease_that_cannot_be_renewed_exactly_is_lost_when_it_ends():
    held, host, _ = a_lease(revives=False)
    host.now = LEASE_S
    with pytest.raises(JobError, match=r"no longer holds the lock.*re-run the same command"):
        held.require()
    held.renew()
    assert held.lost and not held.valid and host.asleep == []


def test_a_lease_that_is_renewed_exactly_revives():
    held, host, _ = a_lease(revives=True)
    host.now = 10 * LEASE_S
    host.meanwhile = (held.renew,)
    held.require()
    assert held.valid and len(host.asleep) == 1, "it waited for the next renewal"


@pytest.mark.parametrize("answer", [False, StorageError("no answer")])
def test_a_lease_that_another_job_has_or_may_have_is_no_lease(answer):
    held, host, store = a_lease(revives=True)
    host.now, store.answer = 10 * LEASE_S, answer
    host.meanwhile = (held.renew,)
    with pytest.raises(JobError, match="no longer holds the lock"):
        held.require()
    assert held.lost


@pytest.fixture
def job(options, tmp_path, monkeypatch):
    measure_nothing(monkeypatch.setattr)
    run_job(options(), enhancer_factory=fake_factory)
    out = tmp_path / "out"
    return Ledger(out, Plan.load(out / PLAN))


def test_rows_do_not_change_without_the_lease(job):
    before = rows(job.out)
    with job_lock(job.out) as held:
        job.lease = held
        job.change(0, {0: {"message": "with"}})
        held.lost = True
        for change in (
            lambda: job.change(0, {0: {"message": "without"}}),
            lambda: job.follow_plan(0, [0]),
            lambda: job.merge(0, {0: job.read(0).slice(0, 1)}),
            lambda: job.commit(0, {p: job.read(0).slice(p, 1) for p in (0, 1)}),
        ):
            with pytest.raises(JobError, match="no longer holds the lock"):
                change()
    assert [row["message"] for row in rows(job.out)[:2]] == ["with", before[1]["message"]]


def test_a_job_whose_lock_is_taken_ends(options, archive, tmp_path, monkeypatch):
    measure_nothing(monkeypatch.setattr)
    from magenet_batch.jobs.engine.engine import Engine

    handle = Engine._handle

    def lose(engine, event, *, draining):
        engine._ledger.lease.lost = True
        handle(engine, event, draining=draining)

    monkeypatch.setattr(Engine, "_handle", lose)
    with pytest.raises(JobError, match="no longer holds the lock"):
        run_job(options(), enhancer_factory=fake_factory)
    monkeypatch.undo()
    measure_nothing(monkeypatch.setattr)
    assert run_job(options(), enhancer_factory=fake_factory).exit_code == 0
    assert len(rows(tmp_path / "out")) == 9


def test_first_rows_stay_and_merged_rows_replace(job):
    first, second = job.read(0), job.read(1)
    job.commit(0, {0: second.slice(0, 1), 1: second.slice(1, 1)})
    assert job.read(0).equals(first)
    job.merge(0, {1: second.slice(1, 1)})
    assert job.read(0).column("image_id").to_pylist() == [
        first.column("image_id")[0].as_py(), second.column("image_id")[1].as_py(),
    ]  # fmt: skip


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_replaces_none(tmp_path, monkeypatch, links):
    def no_links(*given):
        raise OSError(95, "Operation not supported")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    for content in (b"first", b"second"):
        write_new(tmp_path / "rows" / "x", content)
    assert (tmp_path / "rows" / "x").read_bytes() == b"first"
    assert names_in(tmp_path / "rows") == ["x"]


def test_a_new_file_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        write_new(tmp_path / "file" / "x", b"1")


def test_the_age_of_a_lock_is_told_by_the_clock_of_its_folder(tmp_path, monkeypatch):
    """A host whose clock is ahead took over locks of holders that were alive."""
    lock = tmp_path / lock_name(None)
    lock.write_text(json.dumps({"pid": 1, "host": "other"}))
    monkeypatch.setattr(time, "time", lambda: lock.stat().st_mtime + 2 * STALE_AFTER_S)
    with pytest.raises(JobError, match="process 1 on other"), job_lock(tmp_path):
        pass
    assert names_in(tmp_path) == [lock.name]


@pytest.mark.parametrize("how", ["removed", "replaced", "rewritten"])
def test_a_holder_notices_that_its_file_is_anothers(tmp_path, how):
    lock = tmp_path / lock_name(None)
    with job_lock(tmp_path) as held:
        held.renew()
        assert held.valid
        theirs = json.dumps({"pid": 1, "host": "other"})
        if how != "rewritten":
            lock.unlink()
        if how != "removed":
            lock.write_text(theirs)
        held.renew()
        assert held.lost
    assert lock.exists() == (how != "removed"), "what is another's stays"


def test_a_worker_that_was_cut_off_replaces_no_rows(job):
    from magenet_batch.records.sidecar import write_first_rows

    before = rows_file(job.out, 0).read_bytes()
    write_first_rows(job.read(1), job.out, 0, sidecars=[0, 1])
    assert rows_file(job.out, 0).read_bytes() == before
    assert not list((job.out / "images").rglob("*.magenet.json"))
