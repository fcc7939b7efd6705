"""Names in the output folder: what is written under a name is found under it."""

from __future__ import annotations

import pytest

from magenet_batch.records import layout
from magenet_batch.records.part import Part
from magenet_batch.records.vocabulary import BECAUSE, FLAGS_MEAN, KEPT_REASONS, WITHHELD_REASONS
from magenet_batch.storage import write_json


def test_finished_shards_are_those_with_a_rows_file(tmp_path):
    assert layout.finished_shards(tmp_path) == set()
    for shard in (0, 7, 1_234_567):
        path = layout.rows_file(tmp_path, shard)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "rows" / ".magenet-0.tmp").touch()
    assert layout.finished_shards(tmp_path) == {0, 7, 1_234_567}


@pytest.mark.parametrize("part", [None, Part(2, 8)])
def test_every_part_has_files_of_its_own_that_are_found(tmp_path, part):
    write_json({}, tmp_path / layout.state_name(part))
    assert [path.name for path in layout.state_files(tmp_path)] == [layout.state_name(part)]
    (tmp_path / layout.lock_name(part)).touch()
    assert len(list(tmp_path.glob(layout.LOCK_GLOB))) == 1
    assert (layout.log_name(part) == "log.jsonl") == (part is None)


def test_an_original_keeps_its_name():
    assert not layout.is_renamed(layout.original_name("a/b.png"), key="a/b.png")
    assert layout.is_renamed("images/a/b.bmp.png", key="a/b.bmp")
    assert layout.evidence_name("a/b.png") == "evidence/a/b.png.jpg"
    beside = ["evidence/a", "review/previews/a", "review/set-aside/images/a"]
    assert layout.folders_beside("images/a") == beside
    assert layout.preview_name("a/b.png") == "review/previews/a/b.png.jpg"


def test_every_reason_and_flag_has_its_sentence():
    from magenet_batch.jobs.policy import FLAGS

    assert {*KEPT_REASONS, *WITHHELD_REASONS} == set(BECAUSE)
    assert set(FLAGS) <= set(FLAGS_MEAN)
