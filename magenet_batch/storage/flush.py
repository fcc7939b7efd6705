"""Flush folders: a file's name lasts through a power cut only when its folder was flushed too."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_FOLDER = getattr(os, "O_DIRECTORY", None)
"""Flag to open folders; None on Windows, which cannot flush them."""
_CANNOT = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EBADF)
"""Errors of file systems that do not flush folders, and need not or cannot be told to."""
_THREADS = 8
"""Flushes at a time: those that wait for the same disk share its work."""


def flush_folder(folder: Path) -> None:
    """Wait until what was placed in or removed from a folder is on the disk.

    Args:
        folder: the folder; one that is gone has nothing to flush.

    Raises:
        OSError: the disk refuses.
    """
    if _FOLDER is None:
        return
    try:
        handle = os.open(folder, os.O_RDONLY | _FOLDER)
    except OSError as error:
        if error.errno in (*_CANNOT, errno.ENOENT):
            return
        raise
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    finally:
        os.close(handle)


def flush_below(top: Path, files: Iterable[Path]) -> None:
    """Flush the folders of files, and the folders above these up to a common one.

    Args:
        top: the common folder, which is flushed too.
        files: files below it.

    Raises:
        OSError: the disk refuses.
    """
    folders: set[Path] = set()
    for folder in {file.parent for file in files}:
        while folder not in folders and folder.is_relative_to(top):
            folders.add(folder)
            folder = folder.parent
    if len(folders) < 2:
        for folder in folders:
            flush_folder(folder)
        return
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="flush") as pool:
        list(pool.map(flush_folder, folders))


def make_folder(folder: Path) -> None:
    """Create a folder and its parents so that they last; one that exists is fine.

    Raises:
        OSError: it cannot be created.
    """
    missing = []
    for one in (folder, *folder.parents):
        if one.exists():
            break
        missing.append(one)
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        flush_folder(made.parent)
