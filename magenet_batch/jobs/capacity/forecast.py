"""Hours, machines and cost of a job, from the rate of a sample."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from magenet_batch.duration import duration
from magenet_batch.errors import UsageError
from magenet_batch.jobs.capacity.measure import Measured, measure_sample
from magenet_batch.jobs.capacity.sample import sample_of, sample_size
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.plan import make_plan
from magenet_batch.jobs.run import Say, allocation_for, weights_of

_SURE = 2  # standard errors of the rate for which a deadline leaves room


@dataclass(frozen=True)
class Forecast:
    """What a job will take on machines like this one.

    Attributes:
        images: number of images.
        bytes: total size of their files.
        measured: the measured sample.
        allocation: workers and threads of the sample's job, in words.
        deadline: seconds until which all must be done; None for no deadline.
        price: price of a machine for an hour, in any currency; None if unknown.
        most_machines: number of machines that can share the job: its number of shards.
    """

    images: int
    bytes: int
    measured: Measured
    allocation: str
    deadline: float | None
    price: float | None
    most_machines: int

    @property
    def work_seconds(self) -> float:
        """Seconds of one machine's steady work."""
        return self.images / self.measured.images_per_second

    def seconds(self, machines: int) -> float:
        """Seconds until a number of machines is done, the start of each included."""
        return self.measured.start_seconds + self.work_seconds / machines

    @property
    def machines(self) -> int:
        """Machines that meet the deadline, also where the sample was a little too easy.

        Raises:
            UsageError: no number of machines does.
        """
        if self.deadline is None:
            return 1
        left = self.deadline - self.measured.start_seconds
        wanted = self.work_seconds * (1 + _SURE * self.measured.spread)
        if left <= 0 or (needed := max(1, math.ceil(wanted / left))) > self.most_machines:
            raise UsageError(
                f"No number of machines meets a deadline of {duration(self.deadline)}: the job "
                f"has {self.most_machines} shards, and a machine takes "
                f"{duration(self.measured.start_seconds)} to start. Give a later --deadline."
            )
        return needed

    @property
    def machine_hours(self) -> float:
        """Hours of all machines together, the start of each included."""
        return self.machines * self.seconds(self.machines) / 3600

    def text(self) -> str:
        """The forecast for people."""
        found, machines = self.measured, self.machines
        failed = f", {found.failed} of them failed" if found.failed else ""
        size = f" ({self.bytes / 1e9:.1f} GB)" if self.bytes else ""
        lines = [
            f"{self.images:,} images{size}; measured on {found.images} of them{failed}, "
            f"{self.allocation}:",
            f"{found.images_per_second:.2f} images/s, "
            f"give or take {100 * _SURE * found.spread:.0f} %; "
            f"first image after {duration(found.start_seconds)}",
            f"one machine like this: {duration(self.seconds(1))}; output about "
            f"{self.images * found.bytes_per_image / 1e9:.1f} GB",
        ]
        if self.deadline is not None:
            lines.append(self._deadline_text(machines))
        if self.price is not None:
            hours = self.machine_hours
            lines.append(
                f"cost: {hours:.2f} machine hours x {self.price:g} = {hours * self.price:.2f}"
            )
        return "\n".join(lines)

    def _deadline_text(self, machines: int) -> str:
        assert self.deadline is not None
        within = f"within {duration(self.deadline)}"
        if machines == 1:
            return f"{within}: this machine is enough"
        return (
            f"{within}: {machines} machines like this, {duration(self.seconds(machines))}; on "
            f"machine I add --part I/{machines}, or join them with Ray and --address"
        )

    def as_json(self) -> dict[str, Any]:
        """The forecast as JSON-ready values; seconds, bytes, and the currency of the price."""
        machines, hours = self.machines, self.machine_hours
        return {
            "images": self.images, "bytes": self.bytes, "sample": asdict(self.measured),
            "allocation": self.allocation, "seconds_on_one_machine": self.seconds(1),
            "deadline_seconds": self.deadline, "machines": machines,
            "seconds": self.seconds(machines), "machine_hours": hours,
            "output_bytes": round(self.images * self.measured.bytes_per_image),
            "cost": None if self.price is None else hours * self.price,
        }  # fmt: skip


def make_forecast(
    options: JobOptions,
    *,
    sample: int | None = None,
    deadline: float | None = None,
    price: float | None = None,
    say: Say = lambda text: None,
) -> Forecast | None:
    """List an archive, measure a sample, and forecast the job.

    Args:
        options: options of the job.
        sample: number of images to measure; None chooses.
        deadline: seconds until which all must be done; None for no deadline.
        price: price of a machine for an hour; None if unknown.
        say: prints what is measured.

    Returns:
        The forecast; None if the sample was interrupted.

    Raises:
        JobError: the sample gave no rate.
        UsageError: the options do not fit the archive or the machine.
    """
    plan = make_plan(options)
    allocation = allocation_for(options, images=len(plan), weights=weights_of(options), say=say)
    size = sample or sample_size(len(plan), workers=allocation.workers)
    chosen = sample_of(plan, images=size)
    say(f"measuring {len(chosen)} of {len(plan)} images, {allocation.text()}")
    found = measure_sample(options, chosen, workers=allocation.workers)
    if found is None:
        return None
    return Forecast(len(plan), plan.bytes, found, allocation.text(), deadline, price, plan.shards)
