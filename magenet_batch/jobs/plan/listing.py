"""List the images of an archive folder in an order that never changes."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from magenet_batch.errors import ImageError, UsageError
from magenet_batch.imaging.names import SUFFIXES, bare_name
from magenet_batch.records.layout import PLAN, RUN
from magenet_batch.storage import Location

IMAGE_SUFFIXES = tuple(SUFFIXES)
_HEAD = 4096
_ARCHIVE = (
    "ARCHIVE is a folder of images, a single image, a manifest (.parquet, .pq, .csv, .tsv, .txt, "
    ".list, or - for a list on standard input), s3://BUCKET/..., or an address dicomweb+https://HOST/PATH."
)
_DIRECTORY = "DICOMDIR"  # the table of contents of a disc: DICOM, but not an image


class Found(NamedTuple):
    """One file of an archive.

    Attributes:
        key: path relative to the archive, with `/`.
        path: absolute path.
        bytes: size; None if it is unknown (a dangling link, no permission).
        modified_ns: time of the last change in nanoseconds since 1970; None if it is unknown.
    """

    key: str
    path: str
    bytes: int | None
    modified_ns: int | None = None


@dataclass
class Skipped:
    """Files and folders that a listing left out, for a message to the user.

    Attributes:
        suffixes: number of files whose extension is not that of an image, by extension.
        excluded: number of files left out by `--exclude` or not selected by `--include`.
        classes: number of DICOM instances that are not photographs, by SOP class.
        enhanced: number of DICOM instances on a server that this program made.
        hidden: number of hidden files and folders.
        outputs: number of folders that hold the output of a job.
        loops: number of links to a folder that contains them.
        own_output: whether the job's own output folder is inside the archive.
        unreadable: folders that could not be listed.
    """

    suffixes: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    enhanced: int = 0
    excluded: int = 0
    hidden: int = 0
    outputs: int = 0
    loops: int = 0
    own_output: bool = False
    unreadable: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Describe what was left out in a few lines; empty if nothing was."""
        said = []
        if self.suffixes:
            kinds = ", ".join(
                f"{n} {s or 'without extension'}" for s, n in sorted(self.suffixes.items())
            )
            said.append(f"ignored by extension: {kinds} (--include '*' includes all)")
        if self.classes:
            kinds = ", ".join(f"{n} {name}" for name, n in sorted(self.classes.items()))
            said.append(f"ignored by SOP class: {kinds}")
        for count, what in (
            (self.enhanced, "enhanced by magenet before, skipped"),
            (self.excluded, "excluded by --include/--exclude"),
            (self.hidden, "hidden, skipped"),
            (self.outputs, "folders with a job's output, skipped"),
            (self.loops, "circular links, skipped"),
        ):
            if count:
                said.append(f"{count} {what}")
        if self.own_output:
            said.append("the output folder is inside the archive; its files are not listed")
        said.extend(f"cannot be listed: {folder}" for folder in self.unreadable)
        return said


class Choice(NamedTuple):
    """Rules that decide which files count as images.

    Attributes:
        include: globs over the relative path; if given, they replace the known extensions.
        exclude: globs over the relative path, left out in any case.
        known: relative paths that are left out and not counted: a plan has them already.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    known: Set[str] = frozenset()

    def takes(
        self, key: str, skipped: Skipped | None, *, by_suffix: bool = True, path: str | None = None
    ) -> bool:
        """Decide about one file, and count it if it is left out.

        Args:
            key: relative path with `/`; a glob must match the whole path or its last component.
            skipped: counts files that are left out.
            by_suffix: whether the extension decides if there is no `include`.
            path: absolute path; files without an extension are then checked for DICOM.

        Returns:
            Whether the file counts as an image.
        """
        if key in self.known:
            return False
        name = key.rsplit("/", 1)[-1]

        def matches(patterns: tuple[str, ...]) -> bool:
            return any(fnmatchcase(key, p) or fnmatchcase(name, p) for p in patterns)

        if (self.exclude and matches(self.exclude)) or (self.include and not matches(self.include)):
            if skipped is not None:
                skipped.excluded += 1
            return False
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  hot loop
        if by_suffix and not self.include and suffix not in IMAGE_SUFFIXES:
            if path is not None and bare_name(suffix) and name != _DIRECTORY and _is_dicom(path):
                return True
            if skipped is not None:
                skipped.suffixes[suffix] += 1
            return False
        return True


def single_image(path: Path, given: str) -> Found:
    """One file that was given as an archive.

    A file that is named like an image is taken whatever it holds: its row says what is wrong.

    Args:
        path: the file, absolute.
        given: the argument, for errors.

    Raises:
        UsageError: there is no such file, or it neither is an image nor is named like one.
    """
    if not path.is_file():
        why = "neither a folder nor a file" if path.exists() else "no such folder or file"
        raise UsageError(f"{given}: {why}. {_ARCHIVE}")
    if path.suffix.lower() not in IMAGE_SUFFIXES and not _is_image(path):
        raise UsageError(f"{given}: neither an image nor a manifest. {_ARCHIVE}")
    return Found(path.name, str(path), *file_version(path))


def _is_image(path: Path) -> bool:
    """Whether a file begins like an image, also one of a kind that is not read."""
    from magenet_batch.imaging.read import detect_format  # slow to import, and rarely needed

    try:
        with path.open("rb") as file:
            detect_format(file.read(_HEAD))
    except ImageError as error:
        return error.reason != "not_an_image"
    except OSError:
        return True  # its row says why
    return True


def is_job_output(folder: str | Path) -> bool:
    """Whether a folder holds the output of a job."""
    return Path(folder, RUN).is_file() and Path(folder, PLAN).is_file()


def list_folder(root: Path, *, choice: Choice, out: Location, skipped: Skipped) -> Iterator[Found]:
    """List the images in a folder, sorted by path components, one folder in memory at a time.

    Links to files and folders are followed, except into a folder that contains the link. A dangling
    link is listed: its image becomes a row that says so.

    Args:
        root: the folder.
        choice: which files count as images.
        out: the job's own output folder, which is never listed.
        skipped: counts what is left out.

    Yields:
        The images.
    """
    own = _identity(out) if isinstance(out, Path) else None
    start = _identity(root)
    yield from _walk(str(root), "", choice, {start}, own, skipped)


def _identity(folder: str | Path) -> tuple[int, int] | None:
    try:
        found = os.stat(folder)  # noqa: PTH116  hot loop
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _walk(
    folder: str,
    prefix: str,
    choice: Choice,
    above: set[tuple[int, int] | None],
    own: tuple[int, int] | None,
    skipped: Skipped,
) -> Iterator[Found]:
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda e: e.name)
    except OSError as error:
        skipped.unreadable.append(f"{folder} ({error.strerror})")
        return
    for entry in entries:
        if entry.name.startswith("."):
            skipped.hidden += 1
            continue
        if _is_dir(entry):
            identity = _identity(entry.path)
            if identity in above:
                skipped.loops += 1
            elif identity == own or is_job_output(entry.path):
                skipped.outputs += 1
            else:
                below = f"{prefix}{entry.name}/"
                yield from _walk(entry.path, below, choice, above | {identity}, own, skipped)
        elif choice.takes(prefix + entry.name, skipped, path=entry.path):
            yield Found(prefix + entry.name, entry.path, *file_version(entry.path))


def _is_dicom(path: str) -> bool:
    """Whether a file starts like DICOM (PS3.10, 7.1); never waits for a pipe."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  hot loop
            return False
        with open(path, "rb") as file:  # noqa: PTH123  hot loop
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def file_version(path: str | Path) -> tuple[int | None, int | None]:
    """Size of a file, and when it was last modified, in nanoseconds since 1970; None if unknown."""
    try:
        found = os.stat(path)  # noqa: PTH116  hot loop
    except OSError:
        return None, None
    return found.st_size, found.st_mtime_ns
