"""Brings the plan of a job to the state of its archive, for `--append`."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import takewhile

import numpy as np
import pyarrow as pa

from magenet_batch.dicomweb import masked
from magenet_batch.errors import UsageError
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.background import BESIDE_ABOVE, BackgroundListing
from magenet_batch.jobs.plan.generations import save_generation
from magenet_batch.jobs.plan.growth import (
    Growth,
    compare,
    describe_growth,
    next_generation,
)
from magenet_batch.jobs.plan.listing import Skipped
from magenet_batch.jobs.plan.plan import Plan, listed, settled
from magenet_batch.jobs.plan.tables import is_manifest
from magenet_batch.records.layout import PLAN
from magenet_batch.records.run_info import now
from magenet_batch.storage import expanded

WAIT_FOR_PLAN_S = 60.0
"""How long other parts wait for the first, which plans what joins."""


class Appending(BackgroundListing):
    """Lists an archive again, and adds a generation to the plan if it differs.

    In folders of very many images, new ones are found by their names within seconds, and the work
    begins with them. It takes longer to tell whether known images changed or were removed: this is
    found beside the work, and processed afterwards.

    Args:
        options: options of the job; of a divided job, the first part plans.
        plan: the plan as it is.
        say: prints messages.
    """

    def __init__(self, options: JobOptions, plan: Plan, *, say: Callable[[str], None]) -> None:
        super().__init__(options, plan, say=say)
        self._growth: Growth | None = None

    def begin(self) -> Plan:
        """Find what joins, and return the plan to work on.

        Raises:
            UsageError: the archive holds no image, or outputs would overwrite others.
            StorageError: the generation cannot be saved.
        """
        part = self._options.part_of_job
        if part is not None and part.number > 1:
            return self._planned_by_first()
        if len(self._plan) > BESIDE_ABOVE and all(map(_is_folder, self._options.archive)):
            new = self._names_only()
            growth = self._settled(Growth.of_new(new, self._plan))
            if growth:
                self._save(growth)
                self._run_in_thread()
                return self._plan
        self._run()
        self._report()
        return self._plan

    def _list(self) -> None:
        self._growth = self._compared()

    def _report(self) -> None:
        """Report the listing, and save what it found."""
        super()._report()
        if self._growth and (growth := self._settled(self._growth)):
            self._save(growth)

    def _settled(self, growth: Growth) -> Growth:
        """Leave out files that are still being written."""
        both = (growth.new, growth.changed)
        new, changed = (settled(table, seconds=self._options.settle) for table in both)
        return growth._replace(
            new=growth.new.filter(pa.array(new)), changed=growth.changed.filter(pa.array(changed)),
            changed_at=growth.changed_at[changed],
        )  # fmt: skip

    def _save(self, growth: Growth) -> None:
        options, out = self._options, self._options.out_path
        part = next_generation(
            self._plan, growth, shard_size=options.shard_size, when=now(), out=out
        )
        for line in describe_growth(self._plan, growth):
            self._say(line)
        save_generation(out, part)
        self._plan = self._plan.grown([part])

    def _names_only(self) -> pa.Table:
        """Images of folders that the plan does not have, without looking at known ones."""
        known = set(self._plan.table.column("image_id").to_pylist())
        blocks = list(listed(self._options, Skipped(), known=known))
        return pa.concat_tables([self._plan.table.slice(0, 0), *blocks]).combine_chunks()

    def _compared(self) -> Growth:
        """Compare the whole archive with the plan.

        Raises:
            UsageError: the archive holds no image: probably it is not mounted.
        """
        blocks = listed(self._options, self._skipped)
        growth = compare(self._plan, takewhile(lambda block: not self._abandoned, blocks))
        if 0 < self._plan.present == len(growth.removed_at) and not (
            len(growth.new) or len(growth.changed)
        ):
            archives = ", ".join(map(masked, self._options.archive))
            raise UsageError(
                f"None of the job's {self._plan.present} images is in {archives}. "
                "Is it mounted? Nothing was changed."
            )
        if self._skipped.unreadable:  # what is below may still be there
            return growth._replace(removed_at=np.zeros(0, np.int64))
        return growth

    def _planned_by_first(self) -> Plan:
        """The plan, when the first part of the job has added what joins."""
        growth = self._compared()
        deadline = time.monotonic() + WAIT_FOR_PLAN_S
        plan = self._plan
        while growth and plan.generations == self._plan.generations:
            if time.monotonic() > deadline:
                self._say("The archive has changed, but part 1 has not planned it: this part "
                          "works on the images that are planned.")  # fmt: skip
                break
            time.sleep(1.0)
            plan = Plan.load(self._options.out_path / PLAN)
        return plan


def _is_folder(given: str) -> bool:
    return expanded(given).is_dir() and not is_manifest(given)
