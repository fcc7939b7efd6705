"""A job that goes on: is the archive still the one that the plan was made of?"""

from __future__ import annotations

import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobs_fakes import StopAt, fake_factory, outputs, write_image

from magenet_batch.errors import UsageError
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan import relist
from magenet_batch.jobs.plan.plan import make_plan
from magenet_batch.jobs.run import run_job

CHANGES = {
    "added": lambda root: write_image(root / "many" / "9.png"),
    "gone": lambda root: (root / "left" / "eye.jpg").unlink(),
    "another size": lambda root: write_image(root / "a.png", size=64),
}


def test_a_stop_in_the_last_shard_is_an_interruption(options):
    stop = threading.Event()
    chosen = options(shard_size=9)
    watch = StopAt(stop, 2)
    summary = run_job(chosen, enhancer_factory=fake_factory, progress=watch, stop=stop)
    assert (summary.interrupted, summary.exit_code) == (True, 130)
    assert run_job(chosen, enhancer_factory=fake_factory).exit_code == 0


def begun(options, images: int = 3) -> JobOptions:
    """A job that was interrupted after some images."""
    stop = threading.Event()
    chosen = options()
    summary = run_job(
        chosen, enhancer_factory=fake_factory, progress=StopAt(stop, images), stop=stop
    )
    assert summary.interrupted
    return chosen


def check(chosen: JobOptions, plan) -> tuple[relist.ArchiveCheck, threading.Event]:
    stop = threading.Event()
    return relist.ArchiveCheck(chosen, plan, stop=stop, say=lambda text: None), stop


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("beside", [False, True], ids=["before", "beside"])
def test_a_changed_archive_is_refused(options, archive, monkeypatch, change, beside):
    if beside:
        monkeypatch.setattr(relist, "BESIDE_ABOVE", 0)
    chosen = begun(options)
    before = outputs(Path(chosen.out))
    CHANGES[change](archive)
    with pytest.raises(UsageError, match=f"1 images .*{change}"):
        run_job(chosen, enhancer_factory=fake_factory)
    after = outputs(Path(chosen.out))
    if beside:  # it may have gone on with the frozen plan for a while: nothing is lost by that
        assert before.items() <= after.items()
    else:
        assert before == after


def test_beside_the_work_an_unchanged_archive_ends_the_same(options, archive, monkeypatch):
    monkeypatch.setattr(relist, "BESIDE_ABOVE", 0)
    chosen = begun(options)
    summary = run_job(chosen, enhancer_factory=fake_factory)
    assert (summary.exit_code, summary.counts.images) == (0, 9)
    again = run_job(chosen, enhancer_factory=fake_factory)
    assert again.exit_code == 0 and again.worked == 0


def test_a_finished_job_too_waits_for_the_answer(options, archive, monkeypatch):
    monkeypatch.setattr(relist, "BESIDE_ABOVE", 0)
    run_job(options(), enhancer_factory=fake_factory)
    CHANGES["added"](archive)
    with pytest.raises(UsageError, match=r"1 images added: many/9\.png"):
        run_job(options(), enhancer_factory=fake_factory)


def test_what_the_listing_left_out_is_still_told(options, archive):
    (archive / "notes.txt").write_text("no image")
    chosen = begun(options)
    said: list[str] = []
    run_job(chosen, enhancer_factory=fake_factory, say=said.append)
    assert any("1 .txt" in line for line in said)


@pytest.mark.parametrize("limit", [3, 9, 50])
def test_with_a_limit_only_the_first_images_count(options, archive, limit):
    chosen = options(limit=limit)
    plan = make_plan(chosen)
    write_image(archive / "zz.png")
    checked, stop = check(chosen, plan)
    if limit <= 9:
        checked.begin()
    else:
        with pytest.raises(UsageError, match="1 images added"):
            checked.begin()
    assert stop.is_set() == checked.failed == (limit > 9)


def test_folders_are_compared_in_blocks(options, archive, monkeypatch):
    plan = make_plan(options())
    for size in (1, 2, 4, 9, 100):
        monkeypatch.setattr("magenet_batch.jobs.plan.plan.BLOCK", size)
        assert make_plan(options()).table.equals(plan.table)
        check(options(), plan)[0].begin()


@given(names=st.sets(st.text("abä\udc80é", min_size=1, max_size=4), min_size=1, max_size=8))
def test_any_names_are_listed_the_same_twice(tmp_path_factory, names):
    root = tmp_path_factory.mktemp("names")
    for name in names:
        (root / f"{name}.jpg").write_bytes(b"x")
    chosen = JobOptions(archive=(str(root),), out=str(root.parent / "o"), workers=0, gpus=0)
    try:
        plan = make_plan(chosen)
    except UsageError:
        return  # two of the names are one where case and composition do not count
    check(chosen, plan)[0].begin()
    (root / "another.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"another\.jpg"):
        check(chosen, plan)[0].begin()


def test_the_archive_is_never_in_memory_a_second_time(tmp_path, monkeypatch):
    root = tmp_path / "flat"
    for folder in range(20):
        (root / f"{folder:02d}").mkdir(parents=True)
        for i in range(200):
            (root / f"{folder:02d}" / f"{i:04d}.jpg").write_bytes(b"x")
    chosen = JobOptions(archive=(str(root),), out=str(tmp_path / "o"), workers=0, gpus=0)
    plan = make_plan(chosen)
    peaks = {}
    for block in (100, 65_536):
        monkeypatch.setattr("magenet_batch.jobs.plan.plan.BLOCK", block)
        tracemalloc.start()
        check(chosen, plan)[0].begin()
        peaks[block] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[100] < 0.3 * peaks[65_536]
