"""The phases of a training run, and the time that the whole run still needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from magenet_batch.duration import duration


@dataclass(frozen=True)
class Phase:
    """One phase, with a known number of steps, minutes, or both.

    Attributes:
        name: name of the phase.
        steps: maximum number of steps.
        minutes: maximum time, summed over all resumes; 0 for no limit.
        step: number of steps done.
        seconds: time that those steps took.
        done: whether the phase is finished, whatever the number of steps.
    """

    name: str
    steps: int
    minutes: float = 0.0
    step: int = 0
    seconds: float = 0.0
    done: bool = False

    @property
    def share(self) -> float:
        """Share of the phase that is done, by steps or by time, whichever is larger: 0..1."""
        if self.done:
            return 1.0
        by_time = self.seconds / 60 / self.minutes if self.minutes else 0.0
        return min(1.0, max(self.step / self.steps, by_time))

    @property
    def seconds_left(self) -> float | None:
        """Remaining time from the speed so far, but at most what the recipe allows.

        None if neither is known.
        """
        if self.share >= 1:
            return 0.0
        if self.share > 0 and self.seconds > 0:
            return self.seconds * (1 - self.share) / self.share
        return 60 * self.minutes if self.minutes else None


class Phases:
    """All phases of a run in order, one of which is active.

    Args:
        phases: the phases when the run starts or resumes.
    """

    def __init__(self, phases: Iterable[Phase] = ()) -> None:
        self._phases = {phase.name: phase for phase in phases}
        self._furthest = 0.0

    def begin(self, name: str, *, step: int, steps: int, minutes: float) -> None:
        """Start or resume a phase; all earlier phases are done."""
        self._phases.setdefault(name, Phase(name, steps))
        before = True
        for phase in list(self._phases.values()):
            before = before and phase.name != name
            if before:
                self._phases[phase.name] = replace(phase, done=True)
        self._phases[name] = replace(
            self._phases[name], step=step, steps=steps, minutes=minutes, done=False
        )

    def advance(self, name: str, *, step: int, seconds: float) -> None:
        """Record the number of steps and the time of a phase, summed over all resumes."""
        self._phases[name] = replace(self._phases[name], step=step, seconds=seconds)

    def __getitem__(self, name: str) -> Phase:
        return self._phases[name]

    def __iter__(self) -> Iterator[Phase]:
        return iter(self._phases.values())

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the phases whose duration is not known yet."""
        return tuple(p.name for p in self._phases.values() if p.seconds_left is None)

    @property
    def seconds_left(self) -> float:
        """Total remaining time of all phases with a known duration."""
        return sum(p.seconds_left or 0.0 for p in self._phases.values())

    @property
    def share(self) -> float:
        """Share of the run that is done, 0..1; it never decreases.

        Measured by time if the duration of every phase is known; otherwise every phase counts the
        same.
        """
        phases = list(self._phases.values())
        if self.unknown:
            share = sum(p.share for p in phases) / len(phases)
        else:
            spent = sum(p.seconds for p in phases)
            share = spent / max(spent + self.seconds_left, 1e-9)
        self._furthest = max(self._furthest, share)
        return self._furthest

    def left(self) -> str:
        """The remaining time in words."""
        if not self.unknown:
            return f"{duration(self.seconds_left)} left"
        without = ", ".join(self.unknown)
        if self.seconds_left:
            return f"{duration(self.seconds_left)} left, {without} not counted"
        return f"time left not known yet for {without}"
