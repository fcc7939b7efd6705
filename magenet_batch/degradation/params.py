"""The parameters of one degradation: sampled once, recorded, exactly replayable.

Lengths are fractions of the image height, and positions are fractions of width and height from the
top left corner, so that the same parameters describe the same degradation at every resolution.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from magenet_batch.degradation.kinds.spots import Spot
from magenet_batch.degradation.registry import KINDS, REGISTRY, AllFields

__all__ = ["KINDS", "DegradationParams", "Spot"]


@dataclass(frozen=True, kw_only=True)
class DegradationParams(AllFields):
    """One degradation of one image. The defaults change nothing.

    Its fields are those of all kinds: `Blur` in `kinds/blur.py` describes `blur_sigma`, and so on.

    Raises:
        ValueError: a value is outside the limits of its field.
    """

    def __post_init__(self) -> None:
        for kind in REGISTRY:
            for name, (low, high) in kind.limits.items():
                _check_numbers(name, getattr(self, name), low, high)
            for name, choices in kind.choices.items():
                if getattr(self, name) not in choices:
                    raise ValueError(
                        f"{name} of a degradation is {getattr(self, name)!r}; "
                        f"choose one of {', '.join(choices)}"
                    )

    def kinds(self) -> tuple[str, ...]:
        """Names of the kinds of degradation that are present, in the order of `KINDS`."""
        return tuple(kind.name for kind in REGISTRY if kind.present(self))

    def to_record(self) -> str:
        """The parameters as one line of JSON for a Parquet column; nothing is rounded."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_record(cls, record: str) -> DegradationParams:
        """Parse the output of `to_record`, also that of versions with fewer fields.

        Raises:
            ValueError: the record has an unknown or malformed entry.
        """
        entries: dict[str, Any] = json.loads(record)
        if not isinstance(entries, dict):
            raise ValueError(f"a degradation record must be an object, not {record[:40]!r}")
        unknown = entries.keys() - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"a degradation record has no entry {sorted(unknown)[0]!r}")
        decode = {name: made for kind in REGISTRY for name, made in kind.decode.items()}
        for name, value in entries.items():
            try:
                entries[name] = decode.get(name, _plain)(value)
            except TypeError as error:
                raise ValueError(
                    f"a degradation record has a bad entry {name!r}: {error}"
                ) from error
        return cls(**entries)


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _check_numbers(name: str, value: object, low: float, high: float) -> None:
    """Check the number of values and their limits; values that are not finite fail."""
    default = getattr(DegradationParams, name)
    numbers, wanted = (v if isinstance(v, tuple) else (v,) for v in (value, default))
    try:
        good = len(numbers) == len(wanted) and all(low <= number <= high for number in numbers)
    except TypeError:
        good = False
    if not good or isinstance(value, tuple) != isinstance(default, tuple):
        what = f"{len(wanted)} numbers of" if isinstance(default, tuple) else "a number of"
        raise ValueError(
            f"{name} of a degradation is {value!r}; it must be {what} {low:g} .. {high:g}"
        )
