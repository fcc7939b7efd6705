"""A sample of the simulation; `tools/simulate.py --steps 1000000` runs more, from any seed."""

from __future__ import annotations

import importlib

import pytest

from magenet_batch.jobs.ledger import ledger, store_lock
from magenet_batch.jobs.ledger.lease import Lease
from magenet_batch.records.layout import rows_file
from magenet_batch.storage import write_parquet

pytest.importorskip("greenlet")
STORES = ("conditional", "plain", "lagging")
STEPS = {"conditional": 40_000, "plain": 20_000, "lagging": 15_000}


@pytest.fixture
def tool(load_tool):
    return load_tool("simulate")


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_promises_are_kept(tool, store):
    found = tool.simulate(steps=STEPS[store], seed=20261126, stores=[store])
    assert found["broken"] is None
    assert found["steps"] >= STEPS[store]
    assert min(found["commands"][how] for how in ("finished", "refused", "failed")) > 0


def test_a_seed_decides_everything(tool):
    schedule = tool.draw("7", "conditional")
    first, second = tool.run(schedule), tool.run(schedule)
    assert first == second and first.steps > 100
    assert tool.draw("8", "conditional") != schedule


def renew_blindly(lock) -> bool:
    """As the heartbeat did: put the object again, whatever happened to it."""
    lock.path.write_bytes(lock._content())
    lock._version = lock.path.read_version().version
    return True


def write_over(table, out, shard, *, sidecars=()) -> None:
    write_parquet(table, rows_file(out, shard))


def break_renewal(monkeypatch):
    monkeypatch.setattr(store_lock._NamedLock, "renew", renew_blindly)


def break_expiry(monkeypatch):
    monkeypatch.setattr(Lease, "valid", property(lambda lease: not lease.lost))


def break_check_after_put(monkeypatch):
    monkeypatch.setattr(store_lock, "_refuse_others", lambda *given: None)


def break_fence(monkeypatch):
    monkeypatch.setattr(ledger.Ledger, "require_lease", lambda self: None)


def break_first_rows(monkeypatch):
    monkeypatch.setattr(importlib.import_module("simulation.hosts"), "write_first_rows", write_over)


def test_a_clock_that_another_job_removes_is_no_clock(tool):
    """Found by the simulation: a traceback, when one job tidied what another had just put."""
    assert tool.run(tool.draw("5-13", "conditional")).broken is None


@pytest.mark.parametrize(("broken", "store", "seed", "promise"), [
    (break_renewal, "conditional", "1-52", "processes hold the lock"),
    (break_expiry, "conditional", "1-18", "processes hold the lock"),
    (break_check_after_put, "conditional", "1-4", "processes hold the lock"),
    (break_check_after_put, "plain", "1-1", "processes hold the lock"),
    (break_fence, "conditional", "1-16", "is replaced by a row"),
    (break_first_rows, "conditional", "1-39", "is replaced by a row"),
])  # fmt: skip
def test_what_is_broken_on_purpose_is_found(tool, monkeypatch, broken, store, seed, promise):
    schedule = tool.draw(seed, store)
    assert tool.run(schedule).broken is None
    broken(monkeypatch)
    assert promise in tool.run(schedule).broken


@pytest.mark.slow
def test_what_is_found_is_shrunk(tool, monkeypatch):
    break_check_after_put(monkeypatch)
    found = tool.simulate(steps=40_000, seed=1, stores=["conditional"])["broken"]
    first, *happenings = found["schedule"].splitlines()
    assert "processes hold the lock" in found["promise"] and first.startswith("seed 1-")
    assert len(happenings) == 2 and all("start on" in line for line in happenings)
