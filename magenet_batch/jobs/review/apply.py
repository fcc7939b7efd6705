"""Applies decisions to a job's output folder, so that a crash at any moment can be mended.

The decisions are noted in `review/pending.json` before the first file changes, and removed when the
last rows are committed. Every step may be done twice; an interrupted review is finished by the
next one, before anything else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import pyarrow as pa
import pyarrow.compute as pc

from magenet_batch.errors import ImageError, JobError, UsageError
from magenet_batch.jobs import run
from magenet_batch.jobs.engine.machine import cpu_count
from magenet_batch.jobs.ledger.ledger import Ledger
from magenet_batch.jobs.ledger.lock import job_lock
from magenet_batch.jobs.ledger.log import Log
from magenet_batch.jobs.plan.plan import Plan, tasks_of
from magenet_batch.jobs.recorded import recorded_options, recorded_weights
from magenet_batch.jobs.review.decisions import UNDO, Decision, Defaults, read_decisions
from magenet_batch.jobs.review.files import MEASURES, Files
from magenet_batch.jobs.review.result import ReviewResult
from magenet_batch.jobs.review.states import COLUMNS, obey, refused, wanted, why_not
from magenet_batch.jobs.work.enhancers import EnhancerLike
from magenet_batch.records.layout import PENDING, PLAN, log_name, state_files
from magenet_batch.records.run_info import has_sidecars, read_record, read_run
from magenet_batch.records.schema import Row
from magenet_batch.storage import Location, write_json

Say = Callable[[str], None]
_NEEDED = ["image_id", "sha256", *COLUMNS]


class Review:
    """A job's output folder, open for decisions.

    Args:
        out: the output folder.
        say: told in sentences what is being done.

    Raises:
        UsageError: there is no job in it.
        JobError: its plan or `run.json` cannot be read.
    """

    def __init__(self, out: Location, *, say: Say = lambda text: None) -> None:
        states = state_files(out)
        if not states:
            raise UsageError(
                f"{out}: no job in this folder. Give the folder that `magenet enhance -o` wrote to."
            )
        self.out = out
        self.job = read_run(out).id
        self._record = read_record(states[0])
        self._plan = Plan.load(out / PLAN)
        sidecars = has_sidecars(self._record.identity)
        self._ledger = Ledger(out, self._plan, sidecars=sidecars)
        self._say = say
        self._loaded: EnhancerLike | None = None
        self._options = recorded_options(self._record.identity)

    def read(self, content: bytes, name: str, *, reviewer: str, when: str) -> list[Decision]:
        """Read decisions about this job from a CSV file.

        Raises:
            UsageError: something in the file is wrong.
        """
        ids = set(self._plan.table.column("image_id").to_pylist())
        decisions = read_decisions(
            content, name, known=ids.__contains__, defaults=Defaults(self.job, reviewer, when)
        )
        rows = self._rows(decisions)
        wrong = [
            f"  {refused(d.image_id, why)}"
            for d in decisions
            if (why := self._why_not(rows.get(d.image_id), d))
        ]
        if wrong:
            more = [f"  and {len(wrong) - 10} more"] if len(wrong) > 10 else []
            raise UsageError(
                "\n".join([f"{name} was not applied, nothing is changed:", *wrong[:10], *more])
            )
        return decisions

    def undo_all(self, *, reviewer: str, when: str) -> list[Decision]:
        """Take back every decision."""
        return [
            Decision(image_id, UNDO, reviewer, when)
            for _, rows in self._ledger.tables(["image_id", "decision"])
            for image_id, decided in zip(*(c.to_pylist() for c in rows.columns), strict=True)
            if decided
        ]

    def preview(self, decisions: Iterable[Decision]) -> ReviewResult:
        """What applying would do; changes nothing."""
        result = ReviewResult(str(self.out), dry=True)
        decisions = list(decisions)
        rows = self._rows(decisions)
        for decision in decisions:
            result.done[_word(rows[decision.image_id], decision)] += 1
        return self._told(result)

    def apply(self, decisions: Iterable[Decision]) -> ReviewResult:
        """Obey decisions, after those of a review that was interrupted.

        Raises:
            StorageError: the output folder takes nothing more; run it again then.
            JobError: another job works there.
        """
        result = ReviewResult(str(self.out))
        decisions = list(decisions)
        with job_lock(self.out) as lease:
            self._ledger.lease = lease
            left = self._pending()
            if left:
                self._say(f"Finishing an interrupted review: {len(left):,} decisions.")
                self._obey(left, ReviewResult(str(self.out)))
            if decisions:
                write_json({"decisions": [d._asdict() for d in decisions]}, self.out / PENDING)
                self._obey(decisions, result)
        return self._told(result)

    @property
    def interrupted(self) -> bool:
        """Whether decisions wait that were not applied to their end."""
        return (self.out / PENDING).is_file()

    def _told(self, result: ReviewResult) -> ReviewResult:
        result.outcome = self._ledger.counts().outcome
        result.outcome.planned = self._ledger.images
        result.outcome.copied = self._record.identity.get("kept") != "omit"
        return result

    def _pending(self) -> list[Decision]:
        path = self.out / PENDING
        if not path.is_file():
            return []
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))["decisions"]
            return [Decision(**one) for one in noted]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JobError(
                f"{path} cannot be read ({error}). Delete it and apply the decisions again."
            ) from error

    def _obey(self, decisions: list[Decision], result: ReviewResult) -> None:
        files = Files(self.out, self._options, self._enhancer)
        by_shard: dict[int, dict[int, Decision]] = {}
        for decision, index in zip(decisions, self._places(decisions), strict=True):
            shard, position = self._plan.place(index)
            by_shard.setdefault(shard, {})[position] = decision
        for shard, wished in sorted(by_shard.items()):
            self._obey_in(shard, wished, files, result)
        log = Log(self.out / log_name(None))
        log.write("review", **dict(sorted(result.done.items())))
        (self.out / PENDING).unlink(missing_ok=True)

    def _obey_in(
        self, shard: int, wished: dict[int, Decision], files: Files, result: ReviewResult
    ) -> None:
        """Obey the decisions about one shard; its rows file is the commit."""
        rows = self._ledger.read(shard, columns=[*_NEEDED, *MEASURES]).to_pylist()
        tasks = dict(zip(wished, tasks_of(self._plan.slice(shard, list(wished))), strict=True))
        changes: dict[int, Row] = {}
        for position, decision in wished.items():
            row = rows[position]
            try:
                if why := why_not(row, decision.decision):
                    raise ImageError("error", why)
                word = _word(row, decision)
                if word != "unchanged":
                    changes[position] = obey(
                        row, decision, tasks[position], files, look=self._options.look
                    )
                result.done[word] += 1
            except ImageError as error:
                result.failed.append(refused(decision.image_id, error))
        if changes:
            self._ledger.change(shard, changes)
        for position, change in changes.items():
            if change["status"] == "enhanced":
                files.forget(tasks[position])

    def _enhancer(self) -> EnhancerLike:
        """The job's network, loaded when an image is enhanced again."""
        if self._loaded is None:
            identity = self._record.identity
            self._say("Loading the network: enhanced images that were withheld are made again.")
            self._loaded = run.load_enhancer(
                "cpu", cpu_count(), weights=recorded_weights(identity, self._record.runs),
                expected=identity.get("weights_hash"), blend=identity.get("blend", 1.0),
                look=identity.get("look", "natural"),
            )  # fmt: skip
        return self._loaded

    def _places(self, decisions: list[Decision]) -> list[int]:
        wanted_ids = pa.array([d.image_id for d in decisions], pa.string())
        ids = self._plan.table.column("image_id").combine_chunks()
        places: list[int] = pc.index_in(wanted_ids, ids).to_pylist()
        return places

    def _rows(self, decisions: list[Decision]) -> dict[str, Row]:
        """The rows that decisions are about, as far as they are there."""
        found: dict[str, Row] = {}
        done = self._ledger.done()
        by_shard: dict[int, list[int]] = {}
        for index in self._places(decisions):
            shard, position = self._plan.place(index)
            if shard in done:
                by_shard.setdefault(shard, []).append(position)
        for shard, positions in by_shard.items():
            rows = self._ledger.read(shard, columns=_NEEDED).take(pa.array(positions)).to_pylist()
            found.update({row["image_id"]: row for row in rows})
        return found

    @staticmethod
    def _why_not(row: Row | None, decision: Decision) -> str | None:
        if row is None:
            return "the job has not worked on it yet: resume it first"
        try:
            return why_not(row, decision.decision)
        except ImageError as error:
            return str(error)


def _word(row: Row, decision: Decision) -> str:
    """What a decision does, in the words of `ReviewResult.done`."""
    what = wanted(row, decision)
    if what is None:
        return "unchanged"
    if decision.decision == UNDO:
        return "undone"
    return {"deliver": "delivered", "withhold": "withheld", "keep": "confirmed"}[what]
