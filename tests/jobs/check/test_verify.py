"""Verification: what is wrong is found, all of it, and nothing else."""

from __future__ import annotations

import json
import threading

import jobs_fakes
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs_fakes import fake_factory, outputs, write_image

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_SOME_FAILED, EXIT_USAGE
from magenet_batch.jobs.check import verify as module
from magenet_batch.jobs.check.verify import verify
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.run import run_job


@pytest.fixture
def done(options, monkeypatch):
    """A finished job; its options."""
    jobs_fakes.measure_nothing(monkeypatch.setattr)
    run_job(options(), enhancer_factory=fake_factory)
    return options()


def found(job: JobOptions, **how) -> dict[str, str]:
    return {one.image_id: one.what for one in verify(job.out_path, threads=2, **how).findings}


def test_a_job_that_is_whole(done):
    result = verify(done.out_path, threads=2)
    assert (result.exit_code, result.findings, result.images) == (EXIT_DONE, [], 9)
    assert "All are as their rows say" in result.text()


def test_every_kind_of_damage_is_found_and_outputs_are_repaired(done, archive, tmp_path):
    out, before = tmp_path / "out", outputs(tmp_path / "out")
    changed = (out / "images/a.png").read_bytes()
    (out / "images/a.png").write_bytes(changed[:-1] + bytes([changed[-1] ^ 1]))
    (out / "images/left/eye.jpg").unlink()
    write_image(archive / "many/0.png", seed=99)
    (archive / "many/1.png").unlink()
    expected = {
        "a.png": "output_damaged", "left/eye.jpg": "output_missing",
        "many/0.png": "original_changed", "many/1.png": "original_missing",
    }  # fmt: skip
    assert found(done) == expected
    assert found(done, originals=False) == {k: expected[k] for k in ("a.png", "left/eye.jpg")}
    assert outputs(out)["a.png"] != before["a.png"], "verification changes no output"
    assert "run `magenet verify --set-aside` first" in verify(done.out_path, threads=2).text()
    result = verify(done.out_path, threads=2, set_aside=True)
    assert result.exit_code == EXIT_SOME_FAILED
    assert "Damaged files were moved to verified/damaged." in result.text()
    assert "--set-aside" not in result.text()
    assert (out / "verified/damaged/images/a.png").is_file()
    write_image(archive / "many/0.png", seed=4)
    write_image(archive / "many/1.png", seed=5)
    again = done.model_copy(update={"retry_failed": True, "append": True})
    run_job(again, enhancer_factory=fake_factory)
    assert outputs(out)["a.png"] == before["a.png"]
    assert outputs(out)["left/eye.jpg"] == before["left/eye.jpg"]
    assert found(done) == {}


def test_rows_of_an_earlier_version_tell_only_whether_an_output_is_there(done, tmp_path):
    from magenet_batch.jobs.check.look import ledger_of

    ledger = ledger_of(done.out_path)
    for shard in ledger.done():
        count = ledger.plan.shard_rows(shard)
        ledger.change(shard, {p: {"output_sha256": None} for p in range(count)})
    (tmp_path / "out/images/a.png").write_bytes(b"other")
    (tmp_path / "out/images/a.jpg").write_bytes(b"")
    assert found(done) == {"a.jpg": "output_damaged"}


@settings(max_examples=20)
@given(damage=st.sets(st.integers(0, 8)), stop_after=st.integers(0, 5))
def test_an_interrupted_verification_resumes(tmp_path_factory, damage, stop_after):
    with pytest.MonkeyPatch.context() as patch:
        jobs_fakes.measure_nothing(patch.setattr)
        root = tmp_path_factory.mktemp("job")
        for seed in range(9):
            write_image(root / f"in/{seed}.png", seed=seed, size=64)
        job = JobOptions(
            archive=(str(root / "in"),), out=str(root / "out"), workers=0, gpus=0, shard_size=2,
            policy="all",
        )  # fmt: skip
        run_job(job, enhancer_factory=fake_factory)
        for number in damage:
            (root / f"out/images/{number}.png").write_bytes(b"x")
        stop, looked = threading.Event(), []
        look = module._look

        def counting(*given, **how):
            looked.append(given)
            if len(looked) >= 2 * stop_after:
                stop.set()
            return look(*given, **how)

        patch.setattr(module, "_look", counting)
        first = verify(job.out_path, threads=1, stop=stop)
        assert first.interrupted == (len(looked) < 9)
        assert first.exit_code == EXIT_INTERRUPTED or not first.interrupted
        second = verify(job.out_path, threads=1)
    assert {one.image_id for one in second.findings} == {f"{n}.png" for n in damage}
    expected = 9 if first.interrupted else 18
    assert len(looked) == expected, "what was verified before the interruption is not read again"
    assert [p.name for p in (root / "out/verified").iterdir()] == [module.LAST]


def test_what_an_interrupted_verification_found_is_set_aside_later(done, tmp_path, monkeypatch):
    (tmp_path / "out/images/a.jpg").write_bytes(b"x")
    stop, look = threading.Event(), module._look

    def look_and_stop(*given, **how):
        stop.set()
        return look(*given, **how)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_look", look_and_stop)
        assert verify(done.out_path, threads=1, stop=stop).interrupted
    assert found(done, set_aside=True) == {"a.jpg": "output_damaged"}
    assert (tmp_path / "out/verified/damaged/images/a.jpg").read_bytes() == b"x"


def test_through_the_command_line(done, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["verify", out]) == EXIT_DONE
    assert "9 images verified: outputs and originals" in capsys.readouterr().out
    (tmp_path / "out/images/a.png").write_bytes(b"x")
    assert main(["verify", out, "--json", "--outputs-only"]) == EXIT_SOME_FAILED
    said = json.loads(capsys.readouterr().out)
    assert (said["output_damaged"], said["findings"][0]["image_id"]) == (1, "a.png")
    assert main(["verify", str(tmp_path / "archive")]) == EXIT_USAGE


@pytest.mark.slow
def test_a_job_in_an_object_store(empty_bucket, options, monkeypatch):
    from magenet_batch.storage import StorePath

    jobs_fakes.measure_nothing(monkeypatch.setattr)
    out = "s3://results/made/here"
    job = options(out=out)
    run_job(job, enhancer_factory=fake_factory)
    assert found(job) == {}
    (StorePath(out) / "images/a.png").write_bytes(b"x")
    assert found(job, set_aside=True) == {"a.png": "output_damaged"}
    run_job(options(out=out, retry_failed=True), enhancer_factory=fake_factory)
    assert found(job) == {}
