"""The number of workers that was measured to be fastest on this machine, kept in the user's cache.

The cache is a convenience: one that is damaged or cannot be written costs a line, never a job.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from magenet_batch import __version__
from magenet_batch.errors import JobError, StorageError
from magenet_batch.processor import cpu_model
from magenet_batch.settings import PROGRAM
from magenet_batch.storage import write_atomic

_GAIN = 1.05  # another number must be this much faster than one worker per core: noise is not
_MOST = 50  # calibrations that are kept, the newest last
_STRICT = ConfigDict(strict=True, frozen=True, extra="forbid")

Say = Callable[[str], None]


class Rate(BaseModel):
    """What a number of workers reached.

    Attributes:
        workers: number of workers.
        threads: threads of each.
        images_per_second: of all together.
    """

    model_config = _STRICT

    workers: int = Field(ge=1)
    threads: int = Field(ge=1)
    images_per_second: float = Field(gt=0, allow_inf_nan=False)

    def text(self) -> str:
        """The rate in a few words."""
        return (
            f"{self.workers} worker{'s' * (self.workers > 1)} with {self.threads} "
            f"thread{'s' * (self.threads > 1)} each: {self.images_per_second:.2f} images/s"
        )


class Setting(BaseModel):
    """Everything that a calibration depends on.

    Attributes:
        cpu: name of the processor.
        cores: number of cores that may be used.
        weights: hash of the weights.
        version: version of this package.
        torch: version of torch.
    """

    model_config = _STRICT

    cpu: str
    cores: int = Field(ge=1)
    weights: str
    version: str
    torch: str

    @classmethod
    def of(cls, weights: str, *, cores: int) -> Setting:
        """The setting of this machine and installation.

        Args:
            weights: hash of the weights.
            cores: number of cores that may be used.
        """
        try:
            torch = importlib.metadata.version("torch")
        except importlib.metadata.PackageNotFoundError:  # built without metadata
            torch = "unknown"
        return cls(cpu=cpu_model(), cores=cores, weights=weights, version=__version__, torch=torch)


class Calibration(BaseModel):
    """Rates of several numbers of workers, that of one worker per core first."""

    model_config = _STRICT

    setting: Setting
    rates: Annotated[tuple[Rate, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _within_the_machine(self) -> Calibration:
        if any(rate.workers * rate.threads > self.setting.cores for rate in self.rates):
            raise ValueError("more threads than cores")
        return self

    @property
    def best(self) -> Rate:
        """The fastest, or the first one where no other is clearly faster."""
        first, fastest = self.rates[0], max(self.rates, key=lambda rate: rate.images_per_second)
        clearly = fastest.images_per_second >= _GAIN * first.images_per_second
        return fastest if clearly else first

    def text(self) -> str:
        """The choice, and what it was chosen from."""
        others = "; ".join(rate.text() for rate in self.rates if rate is not self.best)
        return self.best.text() + (f" ({others})" if others else "")


class _Kept(BaseModel):
    """Content of the file."""

    model_config = _STRICT

    calibrations: tuple[Calibration, ...] = ()


def cache_path() -> Path | None:
    """Path of the file in the user's cache; None for a user without a home.

    The cache is where `XDG_CACHE_HOME` says, if it is an absolute path, or else `~/.cache`.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        folder = given if given.is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return folder / PROGRAM / "calibration.json"


def known_calibration(setting: Setting, *, say: Say) -> Calibration | None:
    """The kept calibration of a setting; None if there is none.

    Args:
        setting: what it depends on.
        say: prints why the file is ignored, if it is.
    """
    matching = (one for one in reversed(_read(say)) if one.setting == setting)
    return next(matching, None)


def calibrate(
    setting: Setting, measure: Callable[[], tuple[Rate, ...]], *, say: Say
) -> Calibration | None:
    """Measure, and keep the result in place of an earlier one.

    Args:
        setting: what it depends on.
        measure: measures the rates of several numbers of workers.
        say: prints what is done, what was found, and what was in the way.

    Returns:
        The calibration; None if it could not be measured.
    """
    path = cache_path()
    say("measuring for some seconds how many workers are fastest on this machine")
    try:
        found = Calibration(setting=setting, rates=measure())
    except (JobError, StorageError, OSError) as error:
        say(f"not measured: {error}")
        return None
    say(found.text())
    others = [one for one in _read(say) if one.setting != setting]
    kept = _Kept(calibrations=(*others[1 - _MOST :], found))
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, (kept.model_dump_json(indent=2) + "\n").encode())
        except (StorageError, OSError) as error:
            say(f"{path}: not kept for the next job ({error})")
    return found


def _read(say: Say) -> tuple[Calibration, ...]:
    path = cache_path()
    try:
        text = path.read_bytes() if path is not None else b"{}"
        return _Kept.model_validate_json(text).calibrations
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError) as error:
        what = "cannot be read" if isinstance(error, OSError) else "holds no calibrations"
        say(
            f"{path}: ignored, because it {what}. Delete it, or run `{PROGRAM} doctor --calibrate`."
        )
        return ()
