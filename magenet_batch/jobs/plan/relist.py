"""Compare the frozen plan of a job with the current listing of its archive."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from magenet_batch.errors import UsageError
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.background import BESIDE_ABOVE, BackgroundListing
from magenet_batch.jobs.plan.growth import compare
from magenet_batch.jobs.plan.plan import DATED_COLUMNS, PLAN_COLUMNS, Plan, listed, make_plan
from magenet_batch.records.columns import same_tables
from magenet_batch.storage import Location


class ArchiveCheck(BackgroundListing):
    """Lists an archive again and tells whether it still matches the plan.

    Small archives are checked before `begin` returns. Large ones are checked in a thread; a change
    that it finds stops the job by the same event as Ctrl-C, and `finish` raises the error.

    Args:
        options: options of the job.
        plan: the frozen plan.
        stop: set when the archive has changed.
        say: prints what the listing left out.
    """

    def __init__(
        self, options: JobOptions, plan: Plan, *, stop: threading.Event, say: Callable[[str], None]
    ) -> None:
        super().__init__(options, plan, say=say)
        self._stop = stop

    def begin(self) -> Plan:
        """Check a small archive, or start checking a large one.

        Returns:
            The frozen plan.

        Raises:
            UsageError: the archive has changed.
        """
        if len(self._plan) > BESIDE_ABOVE:
            self._run_in_thread()
        else:
            self._run()
            self._report()
        return self._plan

    def _run(self) -> None:
        super()._run()
        if self.failed:
            self._stop.set()

    def _list(self) -> None:
        if not self._same():
            refuse_changed(self._options, self._plan)

    def _same(self) -> bool:
        """Compare block by block, so that the archive is never in memory twice."""
        if self._plan.later:
            blocks = listed(self._options, self._skipped)
            return not compare(self._plan, blocks, times=False)
        frozen, limit = _undated(self._plan.table), self._options.limit
        if self._plan.table.column_names != PLAN_COLUMNS.names:
            return False  # manifests are listed whole, with their columns
        at = 0
        for block in listed(self._options, self._skipped):
            if self._abandoned:
                return True
            part = block if limit is None else block.slice(0, limit - at)
            if part.column_names != PLAN_COLUMNS.names or not (
                frozen.slice(at, len(part)).equals(_undated(part).cast(frozen.schema))
            ):
                return False
            at += len(part)
            if at == limit:
                break
        return at == len(self._plan)


def _undated(table: pa.Table) -> pa.Table:
    """A plan's table without the columns that a moved or copied archive changes."""
    return table.drop_columns(list(DATED_COLUMNS))


def refuse_other_job(out: Location, changed: list[str]) -> None:
    """Refuse to resume a job that is not the same.

    Args:
        out: output folder of the job.
        changed: differences, one line each; nothing happens if it is empty.

    Raises:
        UsageError: something differs.
    """
    if changed:
        raise UsageError(
            "\n".join(
                [
                    f"{out} contains a job with other options, weights or images:",
                    *(f"  {line}" for line in changed),
                    "Choose another folder with -o, or use the same options as before to resume. "
                    "If the archive has grown, add --append to include new and changed images.",
                ]
            )
        )


def refuse_changed(options: JobOptions, plan: Plan) -> None:
    """Refuse to resume if the archive changed since the plan was frozen; say how.

    Raises:
        UsageError: the archive has changed.
    """
    refuse_other_job(
        options.out_path, [f"archive: {line}" for line in differences(plan, make_plan(options))]
    )


def differences(old: Plan, new: Plan, *, show: int = 3) -> list[str]:
    """Describe how the archive changed since the plan was frozen.

    Args:
        old: the frozen plan.
        new: the archive as it is listed now.
        show: number of names to show for each kind of difference.

    Returns:
        Lines such as "2 images added: a.jpg, b.jpg"; empty if nothing changed. Other times of
        modification are no change.
    """
    frozen = old.table.filter(pc.is_null(old.table["removed"]))
    if same_tables(_undated(frozen), _undated(new.table)):
        return []

    def named(what: str, names: pa.ChunkedArray) -> list[str]:
        if not len(names):
            return []
        shown = ", ".join(names.slice(0, show).to_pylist()) + (", ..." if len(names) > show else "")
        return [f"{len(names)} images {what}: {shown}"]

    def only_in(these: pa.Table, others: pa.Table) -> pa.ChunkedArray:
        known = pc.is_in(these["image_id"], value_set=others["image_id"].combine_chunks())
        return these["image_id"].filter(pc.invert(known))

    before, after = (t.select(["image_id", "bytes"]) for t in (frozen, new.table))
    lines = named("added", only_in(after, before))
    lines += named("gone", only_in(before, after))
    both = after.append_column("place", pa.array(range(len(after)))).join(
        before, "image_id", join_type="inner", right_suffix="_before"
    )
    sizes = [both["bytes"].fill_null(-1), both["bytes_before"].fill_null(-1)]
    lines += named(
        "of another size", both.filter(pc.not_equal(*sizes)).sort_by("place")["image_id"]
    )
    return lines or ["the order of the images, or the manifest's other columns"]
