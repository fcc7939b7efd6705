"""A seeded sample of the fault sweep; `tools/fault_sweep.py` tries every operation."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

SEED = 20261126


@pytest.fixture
def tool(load_tool):
    return load_tool("fault_sweep")


def write_and_move(folder: Path) -> None:
    draft = folder / "draft"
    with draft.open("wb") as file:
        file.write(b"12345678")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / "whole")


def test_operations_are_counted_below_the_folder_only(tool, tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
    points = tool.Points(inside, "full", 0)
    with points.watched():
        write_and_move(inside)
        (outside / "free").write_bytes(b"1")
        list(inside.iterdir())
    write_and_move(inside)
    assert points.seen == Counter(open=1, write=1, fsync=1, replace=1, listdir=1)


@pytest.mark.parametrize(("at", "left"), [
    (1, {}), (2, {"draft": b"1234"}), (3, {"draft": b"12345678"}), (4, {"draft": b"12345678"}),
    (5, {"whole": b"12345678"}),
])  # fmt: skip
def test_the_chosen_operation_fails_and_a_write_is_half_done(tool, tmp_path, at, left):
    points = tool.Points(tmp_path, "full", at)
    with points.watched():
        if at == 5:
            write_and_move(tmp_path)
        else:
            with pytest.raises(OSError, match="No space left"):
                write_and_move(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == left


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", ["fresh", "append"])
def test_a_job_on_a_folder(tool, tmp_path, what):
    found = tool.sweep(
        tool.Sweep(tmp_path), where="local", what=what, faults=list(tool.FAULTS["local"]),
        sample=8, seed=SEED,
    )  # fmt: skip
    assert (found["problems"], found["tried"]) == ([], 8)
    assert found["points"].keys() >= {"open", "write", "fsync", "replace", "mkdir", "listdir"}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", ["fresh", "append"])
def test_a_job_on_an_object_store(tool, tmp_path, what):
    pytest.importorskip("moto.server")
    with tool.store("s3") as server:
        found = tool.sweep(
            tool.Sweep(tmp_path, server=server), where="s3", what=what,
            faults=list(tool.FAULTS["s3"]), sample=4, seed=SEED,
        )  # fmt: skip
    assert (found["problems"], found["tried"]) == ([], 4)
    assert found["points"].keys() >= {"PUT", "GET", "HEAD"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_request_that_arrives_after_its_process_was_killed(tool, tmp_path):
    """The last puts of a job, its rows among them: they arrive within the next one, or after it."""
    pytest.importorskip("moto.server")
    with tool.store("s3") as server:
        trials = tool.Sweep(tmp_path, server=server)
        last = trials.points("s3", "fresh").total()
        cases = [tool.Case("s3", "fresh", "late", at) for at in range(last - 16, last + 1, 4)]
        assert [trials.try_case(case) for case in cases] == [None] * len(cases)
        assert server._under_way is None, "it has arrived"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_that_is_not_as_if_undisturbed_is_found(tool, tmp_path):
    trials = tool.Sweep(tmp_path)
    trials.points("local", "fresh")
    made, rows, strange = trials._expected["local", "fresh"]
    trials._expected["local", "fresh"] = (made, rows[1:], strange)
    wrong = trials.try_case(tool.Case("local", "fresh", "kill", 40))
    assert wrong == "rows differ from those of an undisturbed job"
