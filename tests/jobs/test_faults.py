"""What goes wrong around a job: disks, sources, signals. After each, nothing is lost."""

import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from jobs_fakes import FakeEnhancement, FakeEnhancer, fake_factory, outputs, write_image

from magenet_batch.errors import CancelledError, StorageError
from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.run import run_job


def undisturbed(options, tmp_path) -> dict[str, bytes]:
    run_job(options(out=str(tmp_path / "undisturbed")), enhancer_factory=fake_factory)
    return outputs(tmp_path / "undisturbed")


def whole_again(options, tmp_path) -> None:
    """The same command completes to what an undisturbed run gives."""
    summary = run_job(options(), enhancer_factory=fake_factory)
    assert summary.exit_code == 0
    assert outputs(tmp_path / "out") == undisturbed(options, tmp_path)
    assert not list((tmp_path / "out").rglob("*.tmp"))
    assert read_status(tmp_path / "out").complete


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_ends_the_job_and_more_room_completes_it(options, archive, tmp_path):
    for seed in range(4):
        write_image(archive / f"large/{seed}.png", seed=seed, size=400)
    out = tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(out)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        with pytest.raises(StorageError, match="Make room, then re-run the same command"):
            run_job(options(), enhancer_factory=fake_factory)
        assert not list(out.rglob("*.tmp")), "a half-written file is not left on a full disk"
        assert not read_status(out).complete
        subprocess.run(["mount", "-o", "remount,size=40m", str(out)], check=True)
        whole_again(options, tmp_path)
    finally:
        subprocess.run(["umount", str(out)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a read-only folder")
def test_an_output_folder_that_becomes_read_only_ends_the_job(options, tmp_path):
    run_job(options(part="1/2"), enhancer_factory=fake_factory)
    images = tmp_path / "out" / "images"
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(images)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        with pytest.raises(StorageError, match="cannot be written to"):
            run_job(options(part="2/2"), enhancer_factory=fake_factory)
    finally:
        subprocess.run(["umount", str(images)], check=True)
    assert not read_status(tmp_path / "out").complete
    assert run_job(options(part="2/2"), enhancer_factory=fake_factory).exit_code == 0
    assert outputs(tmp_path / "out") == undisturbed(options, tmp_path)


def test_a_source_that_vanishes_half_way_becomes_rows_and_comes_back(options, archive, tmp_path):
    hidden = tmp_path / "hidden"

    class Vanishes(FakeEnhancer):
        done = 0

        def enhance(self, pixels, fov, *, cancelled=lambda: False):
            Vanishes.done += 1
            if Vanishes.done == 4:
                shutil.move(str(archive / "many"), str(hidden))
            return super().enhance(pixels, fov)

    summary = run_job(options(), enhancer_factory=lambda device, threads: Vanishes())
    assert summary.counts.outcome.reasons["failed"]["unreadable"] >= 3
    assert summary.counts.images == 9
    shutil.move(str(hidden), str(archive / "many"))
    again = run_job(options(retry_failed=True), enhancer_factory=fake_factory)
    assert again.exit_code == 0
    assert outputs(tmp_path / "out").keys() == undisturbed(options, tmp_path).keys()


def test_a_network_that_yields_nan_fails_its_images_alone(options):
    class Nan(FakeEnhancer):
        def enhance(self, pixels, fov, *, cancelled=lambda: False):
            vessels = np.full((8, 8), np.nan, np.float32)
            return FakeEnhancement(pixels, vessels, vessels)

    summary = run_job(options(), enhancer_factory=lambda device, threads: Nan())
    assert summary.counts.outcome.reasons["failed"] == {"non_finite": 9}
    assert summary.exit_code == 3


def test_a_stop_gives_up_the_image_in_the_network(options, tmp_path):
    """A network of nine tiles, 0.2 s each: a stop takes one tile, not nine."""
    stop = threading.Event()

    class Tiles(FakeEnhancer):
        def enhance(self, pixels, fov, *, cancelled=lambda: False):
            for tile in range(9):
                if cancelled():
                    raise CancelledError("given up between two tiles")
                if tile == 1:
                    threading.Timer(0.05, stop.set).start()
                time.sleep(0.2)
            return super().enhance(pixels, fov)

    began = time.monotonic()
    summary = run_job(options(), enhancer_factory=lambda device, threads: Tiles(), stop=stop)
    assert time.monotonic() - began < 1.5
    assert summary.interrupted
    assert summary.exit_code == 130
    assert not outputs(tmp_path / "out")
    whole_again(options, tmp_path)


def test_originals_are_untouched(options, archive):
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in archive.rglob("*") if p.is_file()}
    run_job(options(), enhancer_factory=fake_factory)
    after = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in archive.rglob("*") if p.is_file()}
    assert before == after


def test_outputs_have_the_users_umask(options, tmp_path: Path):
    before = os.umask(0o027)
    try:
        run_job(options(), enhancer_factory=fake_factory)
    finally:
        os.umask(before)
    modes = {p.stat().st_mode & 0o777 for p in (tmp_path / "out" / "images").rglob("*.png")}
    assert modes == {0o640}


@pytest.mark.parametrize("left", [1, 0])
def test_what_a_killed_run_left_beside_finished_images_goes_too(options, tmp_path, left):
    """Also in a folder of which nothing is to do any more, also when nothing is at all."""
    run_job(options(), enhancer_factory=fake_factory)
    out = tmp_path / "out"
    record = json.loads((out / "run.json").read_text())
    del record["runs"][-1]["finished"]
    (out / "run.json").write_text(json.dumps(record))
    for rows in sorted((out / "rows").iterdir())[:left]:
        rows.unlink()
    half_written = out / "images" / "right" / ".magenet-0123.tmp"
    half_written.write_bytes(b"half")
    whole_again(options, tmp_path)
    assert not half_written.exists()
