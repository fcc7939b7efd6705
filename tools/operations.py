"""What `fault_sweep.py` and `power_loss.py` share: they intercept what a job does in a folder."""

from __future__ import annotations

import argparse
import builtins
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

_BY_PATH = (
    "replace", "rename", "link", "symlink", "unlink", "mkdir", "listdir", "scandir", "utime",
)  # fmt: skip
_BY_HANDLE = ("fsync", "write", "ftruncate")


def _nothing() -> None:
    pass


def parser_of(about: str | None) -> argparse.ArgumentParser:
    """The options that both scripts have."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--what", nargs="+", choices=["fresh", "append"],
                        default=["fresh", "append"])  # fmt: skip
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path)
    return parser


def conclude(found: list[dict[str, Any]], output: Path | None) -> NoReturn:
    """Write what was found, and exit with 1 if something failed."""
    if output is not None:
        output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.exit(any(one["failed"] for one in found))


class Operations:
    """Calls `before` and `after` around each operation below a folder.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def before(self, name: str, *, half: Callable[[], object] = _nothing) -> None:
        """An operation is about to happen; `half` does half of it."""

    def after(self, name: str, *given: Any) -> None:
        """An operation has happened; with its paths, or with its handle."""

    def opened(self, path: str, handle: int) -> None:
        """A file or folder was opened, to read or to write."""

    def found(self) -> Any:
        """What is told when the process ends."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Intercept what this process does inside the block."""
        real: dict[str, Any] = {}

        def replace(name: str, wrapper: Callable[..., Any]) -> None:
            real[name] = getattr(os, name)
            setattr(os, name, wrapper)

        for name in _BY_PATH:
            replace(name, self._by_path(name, getattr(os, name)))
        for name in _BY_HANDLE:
            replace(name, self._by_handle(name, getattr(os, name)))
        replace("open", self._opening(os.open))
        opened = io.open
        io.open = builtins.open = self._file(opened)  # type: ignore[assignment]
        try:
            yield
        finally:
            io.open = builtins.open = opened  # type: ignore[assignment]
            for name, function in real.items():
                setattr(os, name, function)

    def _is_ours(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self._folder)

    def _by_path(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(path: Any = ".", *rest: Any, **named: Any) -> Any:
            if not self._is_ours(path) and not (rest and self._is_ours(rest[0])):
                return real(path, *rest, **named)
            self.before(name)
            result = real(path, *rest, **named)
            self.after(name, path, *rest)
            return result

        return wrapper

    def _by_handle(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(handle: int, *given: Any) -> Any:
            self.before(name)
            result = real(handle, *given)
            self.after(name, handle)
            return result

        return wrapper

    def _opening(self, real: Callable[..., int]) -> Callable[..., int]:
        def wrapper(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if not self._is_ours(path):
                return real(path, flags, *rest, **named)
            if flags & (os.O_WRONLY | os.O_RDWR):
                self.before("open")
            handle = real(path, flags, *rest, **named)
            self.opened(os.fspath(path), handle)
            return handle

        return wrapper

    def _file(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
            if not self._is_ours(file):
                return real(file, mode, *rest, **named)
            writes = bool(set(mode) & set("wax+"))
            if writes:
                self.before("open")
            made = real(file, mode, *rest, **named)
            self.opened(os.fspath(file), made.fileno())
            return _Written(made, self) if writes else made

        return wrapper


class _Written:
    """A file whose writes are operations; half of a disturbed one reaches the disk."""

    def __init__(self, file: Any, operations: Operations) -> None:
        self._file, self._operations = file, operations

    def write(self, data: Any) -> int:
        def half() -> None:
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._operations.before("write", half=half)
        written: int = self._file.write(data)
        return written

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.flush()
        self._operations.after("write", self._file.fileno())
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
