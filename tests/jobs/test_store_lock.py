"""Locks in object stores: by conditional puts, and by listing where a store has none."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from jobs_fakes import fake_factory, measure_nothing

from magenet_batch.errors import EXIT_DONE, JobError, StorageError
from magenet_batch.jobs.ledger import holder, lease, store_lock
from magenet_batch.jobs.ledger.ledger import Ledger
from magenet_batch.jobs.ledger.lock import job_lock, living_holders
from magenet_batch.jobs.ledger.store_lock import RELEASED
from magenet_batch.jobs.plan.plan import Plan
from magenet_batch.jobs.run import run_job
from magenet_batch.records.layout import LOCK_GLOB, PLAN
from magenet_batch.records.part import Part
from magenet_batch.storage import ConditionsUnsupportedError, StorePath, names_in, write_new

pytestmark = pytest.mark.slow
OUT = "s3://results/made/here"
REFUSED = pytest.raises(JobError, match="Another job is running")
KINDS = ("heeded", "ignored", "refused")
RACE = """
import sys, time
from magenet_batch.errors import JobError
from magenet_batch.jobs.ledger.lock import job_lock
from magenet_batch.storage import StorePath
import magenet_batch.storage.conditional, pyarrow.fs, obstore
print("ready", flush=True)
sys.stdin.readline()
try:
    with job_lock(StorePath(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.readline()
except JobError:
    print("refused", flush=True)
"""


@pytest.fixture(params=KINDS)
def conditions(request, store_server, empty_bucket):
    store_server.conditions = request.param
    yield request.param
    store_server.conditions = "heeded"


@pytest.fixture
def impatient(monkeypatch):
    """Wait until locks of other hosts are dead: a second, on a clock of whole seconds."""

    def wait():
        monkeypatch.setattr(store_lock, "STALE_AFTER_S", 1.0)
        time.sleep(2.1)

    return wait


def locks(out: StorePath) -> list[str]:
    """Names of the locks that are not released."""
    return [p.name for p in sorted(out.glob(LOCK_GLOB)) if p.read_bytes() != RELEASED]


def test_one_job_at_a_time(conditions):
    out = StorePath(OUT)
    for _ in range(2):
        with job_lock(out) as first:
            assert first.valid
            for part in (None, Part(1, 2)):
                with REFUSED, job_lock(out, part=part):
                    pass
            assert len(living_holders(out)) == 1
        assert locks(out) == living_holders(out) == []
    assert not [name for name in names_in(out) if name.endswith(".tmp")]


def test_parts_of_one_division_work_together(conditions):
    out = StorePath(OUT)
    with job_lock(out, part=Part(1, 2)), job_lock(out, part=Part(2, 2)):
        assert len(living_holders(out)) == 2
        for part in (None, Part(1, 3), Part(2, 2)):
            with REFUSED, job_lock(out, part=part):
                pass
    assert locks(out) == []


def test_of_two_jobs_that_start_at_once_one_gets_the_lock(empty_bucket):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, OUT], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, bufsize=1,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        assert [r.stdout.readline() for r in racers] == ["ready\n"] * 2
        for racer in racers:
            racer.stdin.write("go\n")
        assert sorted(r.stdout.readline() for r in racers) == ["held\n", "refused\n"]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_damaged_locks_end_by_themselves(conditions, impatient, content):
    out = StorePath(OUT)
    (out / ".magenet.lock").write_bytes(content)
    with pytest.raises(JobError, match=r"process \? on \?"), job_lock(out):
        pass
    impatient()
    with job_lock(out):
        assert len(locks(out)) == 1
    assert locks(out) == []


@pytest.mark.parametrize("name", [".magenet.lock", ".magenet.0000.lock", ".magenet-1-of-2.lock"])
def test_locks_of_dead_hosts_end_by_themselves(conditions, impatient, name):
    out = StorePath(OUT)
    elsewhere = {"pid": 1, "host": "gone", "token": "x", "locked": "long ago"}
    (out / name).write_text(json.dumps(elsewhere))
    assert [one["host"] for one in living_holders(out)] == ["gone"]
    with pytest.raises(JobError, match="process 1 on gone"), job_lock(out):
        pass
    assert locks(out) == [name], "the refused one leaves nothing"
    impatient()
    with job_lock(out):
        assert [one["pid"] for one in living_holders(out)] == [holder.this_process()["pid"]]
        assert len(locks(out)) == 1
    assert locks(out) == []


def test_a_lock_of_a_dead_process_of_this_host_is_taken_at_once(conditions):
    out = StorePath(OUT)
    dead = holder.this_process() | {"pid": 2**22 + 1, "token": "x"}
    (out / ".magenet.lock").write_text(json.dumps(dead))
    with job_lock(out):
        assert len(locks(out)) == 1


def test_a_holder_renews_its_lock(conditions, monkeypatch):
    monkeypatch.setattr(store_lock, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(lease, "LEASE_S", 3.0)
    with job_lock(StorePath(OUT)) as held:
        time.sleep(4)
        assert held.valid
        held.require()


@pytest.mark.parametrize("stolen", ["removed", "replaced"])
def test_a_holder_notices_that_its_lock_is_gone(conditions, monkeypatch, stolen):
    """It put the object again before, and worked on beside the job that had taken over."""
    monkeypatch.setattr(store_lock, "HEARTBEAT_S", 0.2)
    out = StorePath(OUT)
    with job_lock(out) as held:
        (lock,) = out.glob(LOCK_GLOB)
        if stolen == "removed" or conditions != "heeded":
            lock.unlink()
        else:
            lock.write_text(json.dumps({"pid": 1, "host": "other", "token": "theirs"}))
        deadline = time.monotonic() + 20
        while not held.lost:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with pytest.raises(JobError, match="no longer holds the lock"):
            held.require()
        left = locks(out)
    assert locks(out) == left, "what is another's stays"


def test_a_job_says_how_it_is_locked(conditions, options, monkeypatch):
    measure_nothing(monkeypatch.setattr)
    assert run_job(options(out=OUT), enhancer_factory=fake_factory).exit_code == EXIT_DONE
    begun = json.loads((StorePath(OUT) / "log.jsonl").read_text().splitlines()[0])
    assert begun["lock"] == {
        "heeded": "conditional puts",
        "ignored": "listing, because the store ignores the conditions of puts",
        "refused": "listing, because the store has not implemented them",
    }[conditions]  # fmt: skip


def test_the_first_rows_of_a_shard_stay(conditions):
    place = StorePath(f"{OUT}/rows/part-000000.parquet")
    write_new(place, b"first")
    write_new(place, b"second")
    assert place.read_bytes() == b"first"


def test_a_renewed_lock_is_another_object(empty_bucket):
    """Stores name an object's state by a hash of its content: it must not stay the same."""
    lock = store_lock._NamedLock(StorePath(OUT), None, holder.THIS_HOST)
    lock.take()
    before = lock.path.read_version().version
    assert lock.renew()
    assert lock.path.put_if(b"taken over", over=before) is None


def test_a_renewal_whose_answer_was_lost_is_still_the_holders(empty_bucket):
    lock = store_lock._NamedLock(StorePath(OUT), None, holder.THIS_HOST)
    lock.take()
    before = lock._version
    assert lock.renew()
    lock._version = before
    assert lock.renew() and lock.renew()


def test_rows_that_another_job_changed_are_not_overwritten(empty_bucket, options, monkeypatch):
    measure_nothing(monkeypatch.setattr)
    run_job(options(out=OUT), enhancer_factory=fake_factory)
    out = StorePath(OUT)
    ledger = Ledger(out, Plan.load(out / PLAN))
    late = Ledger(out, ledger.plan)
    read = late._to_change

    def overtaken(shard):
        found = read(shard)
        ledger.change(shard, {0: {"message": "theirs"}})
        return found

    monkeypatch.setattr(late, "_to_change", overtaken)
    with pytest.raises(JobError, match="was changed by another job"):
        late.change(0, {0: {"message": "mine"}})
    assert ledger.read(0).column("message").to_pylist()[0] == "theirs"


def test_conditional_puts(empty_bucket, store_server):
    place = StorePath(f"{OUT}/x")
    first = place.put_if(b"1", over=None)
    assert first is not None and place.put_if(b"2", over=None) is None
    assert place.read_version()[:2] == (b"1", first)
    second = place.put_if(b"2", over=first)
    assert second is not None and place.put_if(b"3", over=first) is None
    place.unlink()
    assert place.put_if(b"3", over=second) is None, "nothing is there to replace"
    with pytest.raises(FileNotFoundError):
        place.read_version()
    store_server.conditions = "refused"
    with pytest.raises(ConditionsUnsupportedError, match="not implemented"):
        place.put_if(b"1", over=None)
    store_server.denied = lambda asked: True
    with pytest.raises(StorageError, match=r"cannot be read: AccessDenied"):
        place.read_version()
    with pytest.raises(StorageError, match=r"cannot be written: AccessDenied"):
        place.put_if(b"1", over=None)


def test_profiles_that_nothing_here_can_read(monkeypatch, tmp_path):
    from magenet_batch.storage import conditional

    monkeypatch.setenv("AWS_PROFILE", "reading-centre")
    for name in conditional._OWN_CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(conditional.importlib.util, "find_spec", lambda name: None)
    conditional.conditional_puts.cache_clear()
    with pytest.raises(ConditionsUnsupportedError, match="from a profile need the package boto3"):
        StorePath("s3://elsewhere/x").put_if(b"1", over=None)
