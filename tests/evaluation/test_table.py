"""Means, intervals, thirds, and what is said of them."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from magenet_batch.degradation.registry import KINDS
from magenet_batch.evaluation.run import expanded, thirds
from magenet_batch.evaluation.summary import markdown, numbers, sheets
from magenet_batch.evaluation.table import Table, bootstrap_mean


def filled() -> Table:
    table = Table()
    for index in range(12):
        where = {"part": "synthetic", "preset": "mild", "image": f"{index}.png"}
        severity = ("light", "middle", "severe")[index % 3]
        table.add(
            {"psnr": 20.0 + index, "ssim": 0.8}, method="identity", severity=severity, **where
        )
        table.add({"psnr": 22.0 + index, "ssim": 0.9}, method="magenet", severity=severity, **where)
        table.add({"psnr": 19.0, "ssim": 0.7}, method="clahe", severity=severity, **where)
    return table


def test_the_interval_has_the_width_that_theory_gives():
    values = np.random.default_rng(3).normal(5, 2, 400)
    mean = bootstrap_mean(values)
    assert mean.value == pytest.approx(values.mean())
    assert (mean.high - mean.low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)
    assert bootstrap_mean(values) == mean
    assert bootstrap_mean([3.0, 3.0]).low == 3.0


def test_a_gain_is_paired_image_by_image():
    text = markdown(sheets(filled()))
    assert "| mild | 25.50 | 27.50 | 19.00 | +2.00 [+2.00, +2.00] |" in text
    assert "| mild | 0.50 | +8.50 (clahe) |" in text
    assert numbers(filled())["synthetic"]["mild"]["magenet"]["ssim"]["count"] == 12


def test_an_undefined_value_is_null_and_counts_for_nothing(tmp_path: Path):
    table = filled()
    table.add({"psnr": float("inf")}, part="synthetic", preset="x", image="a", method="magenet")
    assert table.mean(preset="x", measure="psnr") is None
    table.write(tmp_path / "m.parquet")
    assert pq.read_table(tmp_path / "m.parquet")["value"].to_pylist()[-1] is None


def test_thirds_are_thirds_and_the_worst_is_severe():
    assert thirds([30.0, 10.0, 20.0]) == ["light", "severe", "middle"]
    words = thirds(list(range(31)))
    assert {words.count(w) for w in ("light", "middle", "severe")} <= {10, 11}


def test_kinds_stands_for_every_kind_alone_once():
    names = expanded(["mild", "kinds", "evaluation:blur"])
    assert names[0] == "mild"
    assert len(names) == len(set(names)) == 1 + len(KINDS)
