"""`run.json` is read in one place: strictly where a job goes on, tolerantly for a report."""

from __future__ import annotations

import json

import pytest

from magenet_batch.errors import JobError
from magenet_batch.records.run_info import by_start, read_record, read_run

DAMAGED = ["", "{", "[1]", "{}", '{"identity": 3, "runs": []}', '{"identity": {}, "runs": 3}']


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_record_stops_a_job_and_no_report(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(JobError, match=r"run\.json cannot be read"):
        read_record(path)
    assert read_run(tmp_path).runs == 0


def test_parts_are_one_job(tmp_path):
    for name, started, seconds in (
        ("run-2-of-2", "2024-01-02", 4),
        ("run-1-of-2", "2024-01-01", 3),
    ):
        run = {"started": started, "seconds": seconds, "command": ["a", name], "finished": started}
        record = {"identity": {"page": 1}, "runs": [run, "not a run"]}
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    found = read_run(tmp_path)
    assert (found.runs, found.seconds, found.started) == (2, 7.0, "2024-01-01")
    assert (found.command, found.options) == ("a run-2-of-2", {"page": 1})
    records = [read_record(path) for path in sorted(tmp_path.iterdir(), reverse=True)]
    assert [run["seconds"] for run in by_start(records)] == [3, 4]
