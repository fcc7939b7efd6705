"""What is delivered, and what is not."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from jobs_fakes import FakeEnhancement, FakeEnhancer, fake_factory, outputs

from magenet_batch.errors import UsageError
from magenet_batch.jobs.policy import POLICIES, choose_policy, flags_for
from magenet_batch.jobs.run import run_job
from magenet_batch.jobs.work import measuring, process


def rows(out):
    return [r for f in sorted((out / "rows").iterdir()) for r in pq.read_table(f).to_pylist()]


@pytest.fixture
def graded(monkeypatch):
    """Make every image of this grade, and count nothing else."""

    def make(good, usable, reject):
        found = {"grade": "usable", "good": good, "usable": usable, "reject": reject}
        monkeypatch.setattr(measuring, "assess_copy", lambda copy: found)

    return make


def test_thresholds_can_be_changed_and_recorded():
    policy = choose_policy("standard", ("fidelity=0.4", "good=off", "grade=off"))
    recorded = json.loads(policy.record())
    assert recorded == {
        "name": "standard", "good": None, "reject": 0.9, "seen": 0.27, "fidelity": 0.4,
        "invented": 0.04, "contrast": 0.97,
        "area": 0.9, "macula": 0.8, "dark": 0.04, "grade": None, "visible": 0.008,
    }  # fmt: skip


@pytest.mark.parametrize("change", ["fidelty=0.5", "fidelity", "good=2", "good=maybe", "good=nan"])
def test_a_wrong_threshold_is_refused(change):
    with pytest.raises(UsageError, match="--policy-set"):
        choose_policy("standard", (change,))


def test_an_unknown_policy_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'standard'"):
        choose_policy("standart")


@pytest.mark.parametrize("good", np.linspace(0, 1, 7))
def test_all_never_keeps(good):
    row = {"good_before": good, "reject_before": 1 - good, "fidelity": 0.0}
    assert POLICIES["all"].before(row) is POLICIES["all"].after(row) is None


def rising(before, after, *, good=0.0, reject=0.0):
    return {
        "grade_before": before, "good_before": 0.375, "reject_before": 0.375,
        "grade_after": after, "good_after": 0.375 + good, "reject_after": 0.375 + reject,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"change": 0.0079}, "unchanged"),
        ({"change": 0.0081}, None),
        ({"change": None}, None),
        ({"change": 0.001, "vessel_contrast": 1.05}, None),
        ({"change": 0.001, "vessel_contrast": 1.04}, "unchanged"),
        ({"change": 0.001, "vessel_contrast": 0.9}, "contrast_fell"),
        ({"change": 0.001} | rising("usable", "good", good=0.125), None),
        ({"change": 0.001} | rising("usable", "good", good=0.0625), "unchanged"),
        ({"change": 0.001} | rising("reject", "usable", reject=-0.125), None),
        ({"change": 0.001} | rising("reject", "usable", reject=-0.0625), "unchanged"),
        ({"change": 0.001} | rising("usable", "usable", good=0.2), "unchanged"),
        ({"change": 0.009} | rising("usable", "good", good=0.01), None),
        ({"change": 0.009} | rising("usable", "usable", good=-0.01), "no_gain"),
        ({"change": 0.009} | rising("usable", "usable", reject=0.01), "no_gain"),
        ({"change": 0.009} | rising("usable", "usable", good=-0.01, reject=-0.02), None),
        ({"change": 0.009} | rising("usable", "usable"), None),
        ({"change": 0.009, "good_before": 0.4, "good_after": 0.3}, None),
        ({"change": 0.009, "vessel_contrast": 1.05} | rising("usable", "usable", good=-0.2), None),
    ],
)
def test_where_nothing_visible_was_gained_the_original_is_delivered(found, reason):
    assert POLICIES["standard"].after(found) == reason
    assert POLICIES["all"].after(found) is None


def test_a_job_can_deliver_what_changed_invisibly(graded, options, tmp_path, monkeypatch):
    graded(0.4, 0.6, 0.0)
    monkeypatch.setattr(
        measuring, "measure_fidelity", lambda *images, **maps: {"change": 0.001, "fidelity": 1.0}
    )
    monkeypatch.setattr(measuring, "compare_copies", lambda *copies, **maps: {})
    for index, (value, status) in enumerate({"off": "enhanced", "0.002": "kept"}.items()):
        out = tmp_path / f"out{index}"
        given = options(policy="standard", policy_set=(f"visible={value}",), out=str(out))
        run_job(given, enhancer_factory=fake_factory)
        assert {r["status"] for r in rows(out)} == {status}


def test_unchanged_images_come_as_they_are_and_are_no_withheld_ones(
    graded, options, archive, tmp_path, monkeypatch
):
    graded(0.4, 0.6, 0.0)
    monkeypatch.setattr(
        measuring, "measure_fidelity", lambda *images, **maps: {"change": 0.0, "fidelity": 1.0}
    )
    monkeypatch.setattr(measuring, "compare_copies", lambda *copies, **maps: {})
    summary = run_job(options(policy="standard"), enhancer_factory=fake_factory)
    found = rows(tmp_path / "out")
    assert {(r["status"], r["reason"]) for r in found} == {("kept", "unchanged")}
    assert "9 nothing visible to gain" in summary.text()
    assert not (tmp_path / "out" / "previews").exists()
    originals = {
        p.relative_to(archive).as_posix(): p.read_bytes() for p in archive.rglob("*") if p.is_file()
    }
    assert outputs(tmp_path / "out") == originals


def test_what_the_grader_likes_less_and_shows_no_more_comes_as_it_was(
    graded, options, archive, tmp_path, monkeypatch
):
    graded(0.3, 0.7, 0.0)
    measured = process.measure_before
    monkeypatch.setattr(
        process, "measure_before", lambda *image: measured(*image) | {"good_before": 0.4}
    )
    monkeypatch.setattr(
        measuring, "measure_fidelity", lambda *images, **maps: {"change": 0.02, "fidelity": 1.0}
    )
    monkeypatch.setattr(measuring, "compare_copies", lambda *copies, **maps: {})
    summary = run_job(options(policy="standard"), enhancer_factory=fake_factory)
    found = rows(tmp_path / "out")
    assert {(r["status"], r["reason"]) for r in found} == {("kept", "no_gain")}
    assert "9 nothing gained" in summary.text()
    originals = {
        p.relative_to(archive).as_posix(): p.read_bytes() for p in archive.rglob("*") if p.is_file()
    }
    assert outputs(tmp_path / "out") == originals


def test_good_images_are_copied_byte_for_byte_without_the_network(
    graded, options, archive, tmp_path
):
    graded(0.9, 0.1, 0.0)

    class Never(FakeEnhancer):
        def enhance(self, pixels, fov, *, cancelled=lambda: False):
            raise AssertionError("not needed")

    how = options(policy="standard", output_format="png")
    summary = run_job(how, enhancer_factory=lambda device, threads: Never())
    originals = {
        p.relative_to(archive).as_posix(): p.read_bytes() for p in archive.rglob("*") if p.is_file()
    }
    assert outputs(tmp_path / "out") == originals
    assert {(r["status"], r["reason"]) for r in rows(tmp_path / "out")} == {("kept", "good")}
    assert (
        summary.exit_code == 0
        and "0 of 9 delivered enhanced; 9 delivered as they came." in summary.text()
    )
    assert "9 delivered as they came: 9 already good." in summary.text()


def test_links_point_to_the_originals(graded, options, archive, tmp_path):
    graded(0.9, 0.1, 0.0)
    run_job(options(policy="standard", kept="link"), enhancer_factory=fake_factory)
    link = tmp_path / "out" / "images" / "a.jpg"
    assert link.is_symlink() and link.resolve() == (archive / "a.jpg").resolve()


def test_rejects_are_reported_only_unless_asked_for(graded, options, tmp_path):
    graded(0.0, 0.02, 0.98)
    assert run_job(options(policy="standard"), enhancer_factory=fake_factory).exit_code == 0
    assert outputs(tmp_path / "out") == {}
    assert {(r["reason"], r["output"]) for r in rows(tmp_path / "out")} == {("reject", None)}
    asked = options(policy="standard", rejects="copy", out=str(tmp_path / "asked"))
    run_job(asked, enhancer_factory=fake_factory)
    assert len(outputs(tmp_path / "asked")) == 9


class Inventing(FakeEnhancer):
    """Draws a vessel that was not there."""

    def enhance(self, pixels, fov, *, cancelled=lambda: False):
        before, after = (np.zeros((96, 96), np.float32) for _ in range(2))
        before[30:34, 20:76] = after[30:34, 20:76] = after[60:64, 20:76] = 0.9
        return FakeEnhancement(pixels.copy(), before, after)


def test_an_invented_vessel_is_flagged_and_not_delivered(graded, options, archive, tmp_path):
    graded(0.1, 0.8, 0.1)
    how = options(policy="standard", evidence=True)
    run_job(how, enhancer_factory=lambda device, threads: Inventing())
    for row in rows(tmp_path / "out"):
        assert (row["status"], row["reason"]) == ("withheld", "low_fidelity")
        assert "new_vessels" in row["flags"] and row["fidelity"] < 0.2
        assert (tmp_path / "out" / row["evidence"]).stat().st_size > 0
    assert outputs(tmp_path / "out")["a.jpg"] == (archive / "a.jpg").read_bytes()


def test_null_measures_raise_no_flag():
    assert flags_for({"vessel_new": None}) == []


def test_the_policy_is_part_of_the_jobs_identity(options):
    run_job(options(policy="all"), enhancer_factory=fake_factory)
    with pytest.raises(UsageError, match="policy"):
        run_job(options(policy="cautious"), enhancer_factory=fake_factory)


def test_assess_measures_everything_and_writes_no_image(options, archive, tmp_path):
    (archive / "torn.jpg").write_bytes((archive / "a.jpg").read_bytes()[:700])
    summary = run_job(options(assess=True))
    found = rows(tmp_path / "out")
    assert summary.counts.by_status == {"assessed": 9, "failed": 1}
    assert summary.exit_code == 3 and not (tmp_path / "out" / "images").exists()
    fine = [r for r in found if r["status"] == "assessed"]
    assert all(r["grade_before"] and r["sharpness_before"] is not None for r in fine)
    assert all(r["weights"] is None and r["width"] == 96 for r in fine)


@pytest.mark.parametrize(("share", "reason"), [(0.0401, "darkened"), (0.04, None), (None, None)])
def test_an_image_of_which_a_part_went_dark_is_withheld(share, reason):
    for name in ("standard", "cautious"):
        assert POLICIES[name].after({"darkened": share}) == reason
    assert POLICIES["all"].after({"darkened": share}) is None
    assert choose_policy("all", ("dark=0.04",)).after({"darkened": share}) == reason
    assert flags_for({"darkened": share}) == ([reason] if reason else [])
