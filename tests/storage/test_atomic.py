"""Files are there whole or not at all."""

import os
import pickle
from pathlib import Path

import pytest

from magenet_batch.errors import StorageError
from magenet_batch.storage import draft_of, put_whole, write_atomic
from magenet_batch.storage.atomic import PUT_TRIES


def test_write_makes_folders_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "a" / "b" / "image.png"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_write_honours_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "x", b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_a_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    write_atomic(path, b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match=f"{tmp_path} cannot be written to: No space") as caught:
        write_atomic(path, b"new")
    assert caught.value.persistent
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "image.png", b"new")
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_a_folder_is_unwritable(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"image.png cannot be written") as caught:
        write_atomic(tmp_path / "file" / "image.png", b"new")
    assert not caught.value.persistent, "other files may still be written"


@pytest.mark.parametrize("sweeps", [1, PUT_TRIES - 1])
def test_a_temporary_file_that_is_swept_is_written_again(tmp_path: Path, sweeps: int):
    """A job that takes over removes what looks half-written; the writer may still live."""
    left = [sweeps]

    def make(temporary: Path) -> None:
        temporary.write_bytes(b"whole")
        if left[0]:
            left[0] -= 1
            temporary.unlink()

    put_whole(tmp_path / "deep" / "a.bin", make)
    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"whole"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.bin"]


def test_a_temporary_file_that_vanishes_every_time_is_an_error(tmp_path: Path):
    with pytest.raises(StorageError, match="cannot be written"):
        put_whole(tmp_path / "a.bin", lambda temporary: None)
    assert not list(tmp_path.iterdir())


def test_a_pipe_is_never_replaced(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="a device or a pipe"):
        write_atomic(tmp_path / "pipe", b"x")
    with pytest.raises(StorageError, match="a device or a pipe"), draft_of(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo() and len(list(tmp_path.iterdir())) == 1


def test_an_error_of_a_worker_travels_whole():
    error = StorageError("said", why="No space left", persistent=True)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.why, again.persistent) == ("said", "No space left", True)
