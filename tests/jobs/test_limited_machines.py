"""Limits of the machine: found before the start, or named when a job meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from jobs_fakes import FakeEnhancer, fake_factory, outputs, rows

from magenet_batch.cli import doctor
from magenet_batch.errors import EXIT_USAGE, StorageError, UsageError
from magenet_batch.imaging import read
from magenet_batch.jobs.engine import machine, room
from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.run import run_job
from magenet_batch.jobs.work import content, patience

resource = pytest.importorskip("resource")
ONLY_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")


def completes(options, tmp_path) -> None:
    """The same command completes to what an undisturbed job gives."""
    assert run_job(options(), enhancer_factory=fake_factory).exit_code == 0
    run_job(options(out=str(tmp_path / "undisturbed")), enhancer_factory=fake_factory)
    assert outputs(tmp_path / "out") == outputs(tmp_path / "undisturbed")
    assert rows(tmp_path / "out") == rows(tmp_path / "undisturbed")
    assert read_status(tmp_path / "out").complete
    assert not list((tmp_path / "out").rglob("*.tmp"))


def limited(limit: str, soft: int, hard: int, code: str) -> subprocess.CompletedProcess:
    """Run code in a process with a limit that it cannot raise again."""
    text = f"import resource\nresource.setrlimit(resource.{limit}, ({soft}, {hard}))\n"
    return subprocess.run([sys.executable, "-c", text + textwrap.dedent(code)],
                          capture_output=True, text=True)  # fmt: skip


def test_the_number_of_open_files_is_raised_as_far_as_allowed():
    done = limited("RLIMIT_NOFILE", 64, 900, """
        from magenet_batch.jobs.engine.room import refuse_tight_limits
        refuse_tight_limits(network=True, ray=True)
        print(resource.getrlimit(resource.RLIMIT_NOFILE))
    """)  # fmt: skip
    assert done.stdout.strip() == "(900, 900)", done.stderr


def test_too_few_open_files_for_ray_are_refused_before_ray_starts():
    code = """
        from magenet_batch.jobs.engine.room import refuse_tight_limits
        refuse_tight_limits(network=True, ray={ray})
    """
    done = limited("RLIMIT_NOFILE", 100, 100, code.format(ray=True))
    assert "A process may open 100 files (ulimit -n), and Ray needs 256" in done.stderr
    assert limited("RLIMIT_NOFILE", 100, 100, code.format(ray=False)).returncode == 0


@pytest.mark.slow
def test_too_little_address_space_is_refused_through_the_command_line(archive, tmp_path):
    done = limited("RLIMIT_AS", 3_000_000_000, 3_000_000_000, f"""
        from magenet_batch.cli.main import main
        import sys
        sys.exit(main(["enhance", {str(archive)!r}, "-o", {str(tmp_path / "out")!r},
                       "--workers", "0", "--gpus", "0"]))
    """)  # fmt: skip
    assert done.returncode == EXIT_USAGE, done.stderr
    assert "limited to 3.0 GB (ulimit -v), and a worker needs 4 GB" in done.stderr
    assert not list((tmp_path / "out").glob("rows/*"))


def test_too_many_open_files_blame_no_image(options, tmp_path):
    """The limit is reached for real, in the middle of the job."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    class Greedy(FakeEnhancer):
        seen = 0

        def enhance(self, pixels, fov, *, cancelled=lambda: False):
            Greedy.seen += 1
            if Greedy.seen == 4:
                resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
            return super().enhance(pixels, fov)

    try:
        with pytest.raises(StorageError, match=r"Too many open files.*Raise the limit of open"):
            run_job(options(), enhancer_factory=lambda device, threads: Greedy())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert all(row["status"] == "enhanced" for row in rows(tmp_path / "out"))
    completes(options, tmp_path)


@ONLY_ROOT
def test_missing_inodes_are_foreseen_and_named(options, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m,nr_inodes=12", "tmpfs", str(out)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    said: list[str] = []
    try:
        with pytest.raises(StorageError, match=r"can hold no more files \(inodes\)\. Make room"):
            run_job(options(), enhancer_factory=fake_factory, say=said.append)
        more = [line for line in said if "more files (inodes), and the job has 9 images" in line]
        assert len(more) == 1
        subprocess.run(["mount", "-o", "remount,nr_inodes=1000", str(out)], check=True)
        completes(options, tmp_path)
    finally:
        subprocess.run(["umount", str(out)], check=True)


def test_a_disk_that_may_become_full_is_foreseen(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "room_in", lambda folder: room.Room(2_000_000_000, None))
    (line,) = room.shortages(tmp_path, images=10, size=3_000_000_000)
    assert "2.0 GB free" in line and "about 3.0 GB" in line
    assert room.shortages(tmp_path, images=10, size=1_000_000_000) == []
    found = machine.os.statvfs(tmp_path)
    monkeypatch.undo()
    assert room.room_in(str(tmp_path)).files <= found.f_files
    assert room.room_in(str(tmp_path / "missing")) is None


class Hanging:
    """A mount that stops to respond for files with some names."""

    def __init__(self, monkeypatch, *, names: str, mount: bool) -> None:
        self.gone = threading.Event()
        real_read, real_stat = read.file_content, os.statvfs

        def file_content(path, *, max_pixels):
            if names in str(path):
                self.gone.wait()
            return real_read(path, max_pixels=max_pixels)

        def statvfs(path):
            if mount:
                self.gone.wait()
            return real_stat(path)

        monkeypatch.setattr(content, "file_content", file_content)
        monkeypatch.setattr(patience.os, "statvfs", statvfs)
        monkeypatch.setattr(patience, "READ_TIMEOUT_S", 0.2)
        monkeypatch.setattr(patience, "PROBE_TIMEOUT_S", 0.2)


def test_a_file_that_never_comes_is_a_row(options, tmp_path, monkeypatch):
    hanging = Hanging(monkeypatch, names="right", mount=False)
    summary = run_job(options(), enhancer_factory=fake_factory)
    (failed,) = (row for row in rows(tmp_path / "out") if row["status"] == "failed")
    assert (failed["image_id"], failed["reason"]) == ("right/eye.jpg", "unreadable")
    assert "takes longer than" in failed["message"]
    assert summary.counts.images == 9
    hanging.gone.set()


def test_a_mount_that_hangs_ends_the_job_and_the_same_command_completes_it(
    options, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(room, "room_in", lambda folder: None)
        hanging = Hanging(patch, names="right", mount=True)
        with pytest.raises(StorageError, match=r"right does not respond.*Check the mount"):
            run_job(options(), enhancer_factory=fake_factory)
        hanging.gone.set()
    assert all(row["status"] == "enhanced" for row in rows(tmp_path / "out"))
    completes(options, tmp_path)


def test_a_mount_that_is_gone_ends_the_job(options, archive, tmp_path, monkeypatch):
    real = Path.open

    def gone(path, *given, **named):
        if "right" in str(path) and archive in path.parents:
            raise OSError(107, "Transport endpoint is not connected")
        return real(path, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", gone)
        with pytest.raises(StorageError, match=r"not connected\. Check the mount, then re-run"):
            run_job(options(), enhancer_factory=fake_factory)
    completes(options, tmp_path)


@pytest.mark.parametrize("error", [
    MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
])  # fmt: skip
def test_an_image_that_does_not_fit_into_memory_says_so(options, tmp_path, error):
    class Full(FakeEnhancer):
        def enhance(self, pixels, fov, *, cancelled=lambda: False):
            raise error

    run_job(options(), enhancer_factory=lambda device, threads: Full())
    assert {r["message"] for r in rows(tmp_path / "out")} == {"not enough memory for this image"}


def finding(name: str) -> doctor.Finding:
    return next(one for one in doctor.examine() if one.name == name)


def test_doctor_says_what_limits_a_job(monkeypatch):
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: range(16))
    monkeypatch.setattr(machine, "cpu_limit", lambda: 3.5)
    monkeypatch.setattr(machine, "memory_left", lambda: 4_100_000_000)
    assert finding("CPU cores").found == "3 of 64: a control group allows 3.5"
    assert "4.1 GB, to the limit of a control group" in finding("free memory").found
    assert finding("a large job gets").found.startswith("2 "), "two gigabytes for each worker"
    monkeypatch.setattr(machine, "cpu_limit", lambda: None)
    assert finding("CPU cores").found == "16 of 64: CPU affinity, as schedulers set it"


def test_doctor_finds_tight_limits(monkeypatch):
    limits = {"RLIMIT_NOFILE": (100, 100), "RLIMIT_AS": (None, None)}
    monkeypatch.setattr(room, "limit_of", limits.__getitem__)
    monkeypatch.setattr(room, "resource", None)
    found = finding("limits of a process")
    assert (found.ok, found.found) == (False, "100 open files, at most 100")
    assert "ulimit -n" in found.advice
    limits |= {"RLIMIT_NOFILE": (1024, None), "RLIMIT_AS": (3_000_000_000, None)}
    assert "3.0 GB of addresses" in finding("limits of a process").found
    with pytest.raises(UsageError, match="ulimit -v"):
        room.refuse_tight_limits(network=True, ray=False)
    room.refuse_tight_limits(network=False, ray=False)


def test_doctor_counts_files_and_shared_memory(monkeypatch):
    monkeypatch.setattr(room, "room_in", lambda folder: room.Room(50_000_000_000, 500))
    assert not finding("free disk").ok
    assert "500 files (inodes) here" in finding("free disk").found
    monkeypatch.setattr(room, "room_in", lambda folder: room.Room(30_000_000, 10**6))
    assert "30 MB in /dev/shm; Ray uses the temporary folder" in finding("shared memory").found


@ONLY_ROOT
@pytest.mark.ray
@pytest.mark.slow
def test_a_small_shared_memory_is_enough_for_ray(archive, tmp_path):
    """In a mount namespace of its own, so that nothing else has a small one."""
    command = [sys.executable, "-m", "magenet_batch", "enhance", str(archive), "-o",
               str(tmp_path / "out"), "--workers", "1", "--gpus", "0", "--json"]  # fmt: skip
    text = 'mount -t tmpfs -o size=20m tmpfs /dev/shm && exec "$@"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", text, "sh", *command],
                          capture_output=True, text=True)  # fmt: skip
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no namespace of mounts here")
    assert done.returncode in (0, 3), done.stderr
    assert json.loads(done.stdout)["images"] == 9
