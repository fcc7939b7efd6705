"""The phases of a training run, and how long all of them together still take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from magenet_batch.duration import duration


@dataclass(frozen=True)
class Phase:
    """One phase: what takes a known number of steps, minutes, or both.

    Attributes:
        name: as the run calls it.
        steps: at most.
        minutes: at most, over all resumes; 0 for no limit.
        step: steps done.
        seconds: time that they took.
        done: whether nothing is left, whatever the steps.
    """

    name: str
    steps: int
    minutes: float = 0.0
    step: int = 0
    seconds: float = 0.0
    done: bool = False

    @property
    def share(self) -> float:
        """Share of the phase that is done, by steps or by time, whichever is further: 0..1."""
        if self.done:
            return 1.0
        by_time = self.seconds / 60 / self.minutes if self.minutes else 0.0
        return min(1.0, max(self.step / self.steps, by_time))

    @property
    def seconds_left(self) -> float | None:
        """Time that is left: from the speed so far, or at most what the recipe gives.

        None where neither is known.
        """
        if self.share >= 1:
            return 0.0
        if self.share > 0 and self.seconds > 0:
            return self.seconds * (1 - self.share) / self.share
        return 60 * self.minutes if self.minutes else None


class Phases:
    """All phases of a run, in order; one of them is at work.

    Args:
        phases: as they are when the run begins or resumes.
    """

    def __init__(self, phases: Iterable[Phase] = ()) -> None:
        self._phases = {phase.name: phase for phase in phases}
        self._furthest = 0.0

    def begin(self, name: str, *, step: int, steps: int, minutes: float) -> None:
        """A phase begins or resumes; those before it are done."""
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
        """How many steps a phase has taken, and how long, over all resumes."""
        self._phases[name] = replace(self._phases[name], step=step, seconds=seconds)

    def __getitem__(self, name: str) -> Phase:
        return self._phases[name]

    def __iter__(self) -> Iterator[Phase]:
        return iter(self._phases.values())

    @property
    def unknown(self) -> tuple[str, ...]:
        """Phases of which nobody can say yet how long they take."""
        return tuple(p.name for p in self._phases.values() if p.seconds_left is None)

    @property
    def seconds_left(self) -> float:
        """Time that all known phases still take together."""
        return sum(p.seconds_left or 0.0 for p in self._phases.values())

    @property
    def share(self) -> float:
        """Share of the run that is done, 0..1; it never falls.

        By time where that is known of every phase; otherwise every phase counts alike.
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
        """The time that is left, in words."""
        if not self.unknown:
            return f"{duration(self.seconds_left)} left"
        without = ", ".join(self.unknown)
        if self.seconds_left:
            return f"{duration(self.seconds_left)} left, {without} not counted"
        return f"time left not known yet of {without}"
