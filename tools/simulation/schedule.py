"""Schedules: which commands start when, and what goes wrong meanwhile; all decided by a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

Store = Literal["conditional", "plain", "lagging"]
STORES: tuple[Store, ...] = ("conditional", "plain", "lagging")
HOSTS = ("one", "two", "three")
IMAGES, SHARD_SIZE = 6, 2
PARTS = 2
KINDS = ("kill", "stop", "cut", "deafen", "slow", "worker dies", "worker cut off")
LASTS_S = 900.0
"""Time in which commands start and things go wrong; after it, everything is well again."""
LAG_S = 60.0


@dataclass(frozen=True)
class Happening:
    """Something that happens at a moment.

    Attributes:
        at: seconds from the start.
        kind: `start` a command; `kill` the drivers on a host; `stop` its processes for a while;
            `cut` its network, `deafen` it (requests arrive, answers do not), `slow` it; `worker
            dies`; `worker cut off`, which lives and works on.
        host: where.
        seconds: how long, or how slow.
        part: which part of the job a command does; 0 for all of it.
    """

    at: float
    kind: str
    host: str
    seconds: float = 0.0
    part: int = 0


@dataclass(frozen=True)
class Schedule:
    """All that decides one simulation.

    Attributes:
        seed: decides delays, losses and the hosts' clocks.
        store: kind of the store: with conditional puts, without, or with listings that lag.
        happenings: in order of time.
        poison: numbers of images that kill their worker.
        failing: probability that an image fails for a while.
        image_s: longest time for an image, seconds.
    """

    seed: str
    store: Store
    happenings: tuple[Happening, ...]
    poison: tuple[int, ...] = ()
    failing: float = 0.0
    image_s: float = 3.0

    def text(self) -> str:
        """The schedule for people."""
        lines = [
            f"seed {self.seed}, {self.store} store, images {self.poison} kill, "
            f"{self.failing:.0%} fail for a while, up to {self.image_s:.0f} s each"
        ]
        for one in self.happenings:
            part = f", part {one.part} of {PARTS}" if one.part else ""
            lasting = f" for {one.seconds:.0f} s" if one.seconds else ""
            lines.append(f"  {one.at:6.1f} s: {one.kind} on {one.host}{lasting}{part}")
        return "\n".join(lines)


def draw(seed: str, store: Store) -> Schedule:
    """Draw a schedule.

    Without conditional puts, a request that arrives long after it was sent, or a process that is
    stopped between a check and what it checked for, breaks every lock: such a store is only slow,
    and hosts are only stopped, for less than the lock allows for.
    """
    rng = random.Random(seed)
    exact = store == "conditional"
    parts = rng.random() < 0.3
    found: list[Happening] = []

    def start(at: float, host: str) -> None:
        found.append(Happening(at, "start", host, part=rng.randint(0, PARTS) * parts))

    def trouble(at: float, host: str) -> None:
        kind = rng.choice(KINDS)
        longest = 25.0 if kind in ("stop", "slow") and not exact else 400.0
        seconds = rng.choice((rng.uniform(0, 25), rng.uniform(0, longest)))
        lasts = kind in ("stop", "cut", "deafen", "slow")
        found.append(Happening(at, kind, host, seconds * lasts))

    for _ in range(rng.randint(1, 4)):
        at = rng.choice((0.0, rng.uniform(0, 30), rng.uniform(0, LASTS_S)))
        start(at, rng.choice(HOSTS))
        if rng.random() < 0.6:  # a holder in trouble, and another job that waits for its end
            one, other = rng.sample(HOSTS, 2)
            start(at, one)
            when = at + rng.uniform(0, 60)
            long = 400.0 if exact else 25.0
            kind, longest = rng.choice((("cut", 400.0), ("stop", long), ("slow", long)))
            found.append(Happening(when, kind, one, rng.uniform(longest / 2, longest)))
            for _ in range(2):
                start(when + rng.uniform(100, 300), other)
    for _ in range(rng.randint(0, 6)):
        trouble(rng.choice(found).at + rng.uniform(0, 60), rng.choice(HOSTS))
    return Schedule(
        seed, store, tuple(sorted(found, key=lambda one: one.at)),
        poison=tuple(rng.sample(range(IMAGES), rng.choice((0, 0, 1)))),
        failing=rng.choice((0.0, 0.0, 0.3, 0.6)), image_s=rng.choice((3.0, 20.0, 80.0)),
    )  # fmt: skip


def shrink(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """Leave out of a schedule that fails whatever it does not need to fail.

    Args:
        schedule: it fails.
        fails: whether a schedule fails.
    """
    smaller = True
    while smaller:
        smaller = False
        candidates = [replace(schedule, poison=()), replace(schedule, failing=0.0)]
        some = schedule.happenings
        candidates += [
            replace(schedule, happenings=some[:at] + some[at + size :])
            for size in (4, 2, 1)
            for at in range(0, len(some) - size + 1)
        ]
        for candidate in candidates:
            if candidate != schedule and fails(candidate):
                schedule, smaller = candidate, True
                break
    return schedule
