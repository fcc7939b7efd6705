"""A seeded sample of power cuts; `tools/power_loss.py` tries every operation of the job."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from magenet_batch.errors import StorageError
from magenet_batch.storage import draft_of, flush_names, remove_file, write_atomic, write_new
from magenet_batch.storage import flush as flush_module

SEED = 20261126


@pytest.fixture
def tool(load_tool):
    return load_tool("power_loss")


@pytest.fixture
def after_cut(tool, tmp_path):
    """What is left after a power cut that takes all that was not flushed."""

    def run(work) -> dict:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        recorder = tool.Recorder(folder)
        with recorder.watched():
            work(folder)
        disk = tool.Disk()
        for number, step in enumerate(recorder.steps):
            disk.apply(number, step)
        return disk.after(tool.losses_of(0, 0)[0], 0)

    return run


def test_an_unflushed_name_is_lost_and_a_flushed_one_is_not(after_cut):
    def careless(folder: Path) -> None:
        (folder / "draft").write_bytes(b"1")
        (folder / "draft").replace(folder / "whole")

    assert after_cut(careless) == {}
    assert after_cut(lambda folder: write_atomic(folder / "a/b/whole", b"2")) == {
        "a": None, "a/b": None, "a/b/whole": b"2",
    }  # fmt: skip


def test_a_name_without_flushed_content_is_an_empty_file(after_cut):
    def unflushed_content(folder: Path) -> None:
        (folder / "draft").write_bytes(b"12")
        (folder / "draft").replace(folder / "whole")
        flush_module.flush_folder(folder)

    assert after_cut(unflushed_content) == {"whole": b""}


@pytest.mark.parametrize("write", [write_atomic, write_new])
def test_what_was_written_lasts(after_cut, write):
    assert after_cut(lambda folder: write(folder / "x", b"1")) == {"x": b"1"}


def test_names_of_many_files_last_together(after_cut):
    names = ["a/1", "a/2", "b/c/3"]

    def work(folder: Path, *, flush: bool) -> None:
        for name in names:
            write_atomic(folder / name, b"1", flush=False)
        if flush:
            flush_names((folder / name for name in names), below=folder)

    assert after_cut(lambda folder: work(folder, flush=False)) == {}
    whole = after_cut(lambda folder: work(folder, flush=True))
    assert {name for name, content in whole.items() if content == b"1"} == set(names)


def test_what_was_removed_does_not_come_back(after_cut):
    def work(folder: Path) -> None:
        write_atomic(folder / "x", b"1")
        remove_file(folder / "x")

    assert after_cut(work) == {}


def test_a_draft_lasts_whole(after_cut):
    def work(folder: Path) -> None:
        with draft_of(folder / "report.html") as draft:
            draft.write_bytes(b"<html>")

    assert after_cut(work) == {"report.html": b"<html>"}


def folders_fail(monkeypatch, number: int, text: str) -> None:
    """Let every flush of a folder fail."""
    real = os.fsync

    def failing(handle):
        if Path(f"/proc/self/fd/{handle}").is_dir():
            raise OSError(number, text)
        real(handle)

    monkeypatch.setattr(os, "fsync", failing)


def test_a_disk_that_cannot_flush_a_folder_is_an_error(tmp_path, monkeypatch):
    folders_fail(monkeypatch, 5, "Input/output error")
    with pytest.raises(StorageError, match="Input/output error"):
        write_atomic(tmp_path / "x", b"1")
    write_atomic(tmp_path / "y", b"1", flush=False)
    with pytest.raises(StorageError, match="Input/output error"):
        flush_names([tmp_path / "y"], below=tmp_path)


def test_a_file_system_without_flushes_of_folders_is_used_all_the_same(tmp_path, monkeypatch):
    folders_fail(monkeypatch, 22, "Invalid argument")
    write_atomic(tmp_path / "x", b"1")
    assert (tmp_path / "x").read_bytes() == b"1"
    flush_names([tmp_path / "gone" / "y"], below=tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", ["fresh", "append"])
def test_a_job_whose_power_is_cut(tool, tmp_path, what):
    cuts = tool.Cuts(tmp_path, what)
    assert cuts.recorded_all(), "nothing writes past the recorder"
    found = tool.replay(cuts, what=what, sample=16, seed=SEED)
    assert (found["problems"], found["cuts"]) == ([], 16)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_that_flushes_no_folder_is_found(tool, tmp_path):
    cuts = tool.Cuts(tmp_path, "fresh")
    folders = {s[1] for s in cuts.steps if s[0] == "make" and isinstance(s[2], tool.Folder)}
    kept = [s for s in cuts.steps[cuts.first :] if s[0] != "flush" or s[1] not in {"", *folders}]
    cuts.steps[cuts.first :] = kept
    assert "out" in cuts.lost_at_the_end(), "the command said that all is done"
    rows_alone = tool.Loss("outputs", lambda change, at: not _is_image(cuts.steps, change), 1.0)
    problem = cuts.try_cut(cuts.after(len(cuts.steps), rows_alone))
    assert problem == "rows without their outputs: a.jpg, b/c.png, b/d.png, e.png, new.png"


def _is_image(steps: list, change: int) -> bool:
    step = steps[change - 1]
    return step[0] == "move" and step[2].startswith("out/images/")
