"""What can go wrong, in the words a user reads.

Every error that reaches a user is a `MagenetError`: it says what, where and what to do next, and
carries the exit code of the command. An image that cannot be processed is an `ImageError`: it
becomes a row with a reason and never ends a job.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable
from typing import Literal, get_args

Reason = Literal[
    "unreadable",  # the file cannot be opened or vanished
    "empty",  # zero bytes
    "not_an_image",  # its content is no image format that is known
    "unsupported",  # an image, but of a kind that is not read
    "corrupt",  # an image that cannot be decoded whole
    "too_large",  # more pixels than the limit: a decompression bomb or a mistake
    "no_fov",  # no field of view was found: probably no fundus photograph
    "non_finite",  # the network gave NaN or infinity
    "unwritable",  # the output could not be written
    "crash",  # its worker died, three times
    "timeout",  # its worker did not answer in time
    "error",  # anything else; the message tells
]
REASONS: tuple[str, ...] = get_args(Reason)

DISTRIBUTION = "magenet-batch"
"""The name under which the package is installed, as `pyproject.toml` has it."""

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


class MagenetError(Exception):
    """Something went wrong that the user can act on.

    Attributes:
        exit_code: what the command line ends with.
    """

    exit_code = EXIT_FAILED


class UsageError(MagenetError):
    """The command was given something it cannot take."""

    exit_code = EXIT_USAGE


class InputError(UsageError, ValueError):
    """What was given from Python is no image that can be worked on."""


class MissingExtraError(UsageError, ImportError):
    """A part of the program needs packages that were not installed with it."""


class RecipeError(UsageError):
    """The recipe is invalid."""


class WeightsError(MagenetError):
    """Weights or a checkpoint are missing, damaged or of another network."""


class JobError(MagenetError):
    """An archive job cannot start or cannot continue."""


class StorageError(MagenetError):
    """A file or an object cannot be read or written.

    Attributes:
        why: the words of the operating system or the store.
        persistent: other files there would fail as well: the disk is full or read-only, or the
            store refuses or does not answer.
    """

    def __init__(self, message: str, *, why: str = "", persistent: bool = False) -> None:
        super().__init__(message)
        self.why = why or message
        self.persistent = persistent


class TrainingError(MagenetError):
    """A training run cannot start or cannot continue."""


class CancelledError(MagenetError):
    """Work on an image was abandoned because the job is told to stop; nothing was written of it."""

    exit_code = EXIT_INTERRUPTED


class ImageError(MagenetError):
    """One image cannot be processed.

    The message may quote names and values from files: what is not printable in them, such as
    control characters and those that turn the direction of writing, is replaced by spaces.

    Attributes:
        reason: one of `REASONS`, written to the image's row.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else " " for c in message))
        self.reason: Reason = reason


def nearest(word: str, choices: Iterable[str]) -> str:
    """Say which valid spelling is nearest to a wrong word, and list the choices.

    Args:
        word: what the user wrote.
        choices: what would have been valid.

    Returns:
        A phrase such as "did you mean 'base'? Choose from: base, small".
    """
    valid = sorted(choices)
    close = difflib.get_close_matches(word, valid, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}Choose from: {', '.join(valid)}"


def require_extra(extra: str, *, modules: Iterable[str], purpose: str) -> None:
    """Make sure that the packages of an extra are installed, without loading them.

    Args:
        extra: name of the extra in `pyproject.toml`.
        modules: top-level modules that are needed.
        purpose: what needs them; the message begins with it.

    Raises:
        MissingExtraError: one is not there; it says how to install it.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        they = "is" if len(missing) == 1 else "are"
        raise MissingExtraError(
            f"{purpose} needs {' and '.join(missing)}, which {they} not installed. "
            f"Install with: pip install '{DISTRIBUTION}[{extra}]'"
        )
