"""Every error that a user can see, and the exit codes.

A `MagenetError` says what went wrong, where, and what to do next; it carries the exit code of the
command. An image that cannot be processed raises an `ImageError`, which becomes a row with a reason
and never ends a job.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable
from typing import Literal, get_args

Reason = Literal[
    "unreadable",  # the file cannot be opened, or it disappeared
    "empty",  # zero bytes
    "not_an_image",  # the content is not a known image format
    "unsupported",  # an image of a kind that is not supported
    "corrupt",  # an image that cannot be decoded completely
    "too_large",  # more pixels than the limit: a decompression bomb or a mistake
    "no_fov",  # no field of view was found: probably not a fundus photograph
    "non_finite",  # the network produced NaN or infinity
    "unwritable",  # the output could not be written
    "crash",  # the worker died while processing it, three times
    "timeout",  # the worker did not answer in time
    "error",  # anything else; see the message
]
REASONS: tuple[str, ...] = get_args(Reason)

DISTRIBUTION = "magenet-batch"
"""Name of the distribution, as in `pyproject.toml`."""

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


class MagenetError(Exception):
    """An error that the user can act on.

    It can be made from its message alone: workers raise errors in other processes, which send them
    as their message and their attributes.

    Attributes:
        exit_code: exit code of the command line.
    """

    exit_code = EXIT_FAILED


class UsageError(MagenetError):
    """The command was given invalid arguments."""

    exit_code = EXIT_USAGE


class InputError(UsageError, ValueError):
    """The input of the Python API is not an image in one of the accepted forms."""


class MissingExtraError(UsageError, ImportError):
    """A feature needs packages that are not installed."""


class RecipeError(UsageError):
    """The recipe is invalid."""


class WeightsError(MagenetError):
    """Weights or a checkpoint are missing, damaged or made for another network."""


class JobError(MagenetError):
    """An archive job cannot start or cannot continue."""


class StorageError(MagenetError):
    """A file or object cannot be read or written.

    Attributes:
        why: the error message of the operating system or the object store.
        persistent: whether other files in the same place would fail too: the disk is full or
            read-only, or the store refuses requests or does not respond.
    """

    def __init__(self, message: str, *, why: str = "", persistent: bool = False) -> None:
        super().__init__(message)
        self.why = why or message
        self.persistent = persistent


class TrainingError(MagenetError):
    """A training run cannot start or cannot continue."""


class CancelledError(MagenetError):
    """Processing of an image was abandoned because the job is stopping; nothing was written."""

    exit_code = EXIT_INTERRUPTED


class ImageError(MagenetError):
    """One image cannot be processed.

    The message may quote names and values from files. Unprintable characters in them, such as
    control characters and those that change the writing direction, are replaced by spaces.

    Attributes:
        reason: one of `REASONS`; it is written to the image's row.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else " " for c in message))
        self.reason: Reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[Reason, str]]:
        return type(self), (self.reason, str(self))


def printable(text: str, *, keep: str = "") -> str:
    """Escape characters that a terminal obeys instead of showing: names of files can have any.

    Args:
        text: any text.
        keep: unprintable characters that stay, such as line breaks of a whole message.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def nearest(word: str, choices: Iterable[str]) -> str:
    """Suggest the valid spelling nearest to a wrong word, and list the choices.

    Args:
        word: what the user wrote.
        choices: the valid words.

    Returns:
        A phrase that follows a colon or a semicolon, such as "did you mean 'base'? Choose from:
        base, small", or "choose from: base, small".
    """
    valid = sorted(choices)
    close = difflib.get_close_matches(word, valid, n=1)
    hint = f"did you mean '{close[0]}'? Choose" if close else "choose"
    return f"{hint} from: {', '.join(valid)}"


def require_extra(extra: str, *, modules: Iterable[str], purpose: str) -> None:
    """Check that the packages of an extra are installed, without importing them.

    Args:
        extra: name of the extra in `pyproject.toml`.
        modules: top-level modules that are needed.
        purpose: the feature that needs them; the message begins with it.

    Raises:
        MissingExtraError: a module is missing; the message says how to install it.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        they = "is" if len(missing) == 1 else "are"
        raise MissingExtraError(
            f"{purpose} needs {' and '.join(missing)}, which {they} not installed: "
            f"run pip install '{DISTRIBUTION}[{extra}]'."
        )
