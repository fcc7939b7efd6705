"""Fault sweep: every write, rename, list and request of a small job fails, or is its last.

    python tools/fault_sweep.py [--where local s3] [--what fresh append] [--faults full broken kill]
        [--sample 20 --seed 1] [-o tools/results/fault_sweep.json]

Runs a job on five tiny images in a process of its own and counts its operations: on a folder
`open` for writing, `write`, `fsync`, `replace`, `link`, `symlink`, `unlink`, `mkdir`, `listdir`,
`scandir`, `truncate`, `utime`; on an object store every request. Then the job runs once for each
operation n, which fails or kills the process, and the same command runs again, undisturbed. After
that, outputs and rows must be those of an undisturbed job, byte for byte except for timings, with
one row for each image; every file must be what its row says; and nothing half-written may be left.
A job that fails must do so with a message, never with a traceback.

`fresh` is a new job, `append` one whose archive has a new, a changed, a touched and a removed
image. Faults: `full` (no space left), `broken` (input/output error), `slow` (half a second, in
which other threads continue), `kill` (SIGKILL before the operation; a write is done by half); on an
object store `denied` (403), `lost` (done, but answered with an error), `slow`, `kill`,
`killed-after` (SIGKILL when it was done), and `late`: SIGKILL while the request is under way, which
the store does only when the same command, run again, makes as many requests, or ends.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "makers"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "jobs"))

import jobs_fakes
from operations import Operations, conclude, parser_of
from s3_faults import SLOW_S, FaultyServer

from magenet_batch.errors import EXIT_DONE, EXIT_SOME_FAILED, MagenetError
from magenet_batch.jobs.check.verify import verify
from magenet_batch.jobs.ledger.store_lock import RELEASED
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.run import run_job
from magenet_batch.records.reading import open_rows
from magenet_batch.records.schema import TIMING_COLUMNS
from magenet_batch.storage import StorePath, location_of

FAULTS = {
    "local": ("full", "broken", "slow", "kill"),
    "s3": ("denied", "lost", "slow", "kill", "killed-after", "late"),
}
BUCKET = "sweep"
_KILLED = -signal.SIGKILL
_TRACEBACK = 70  # exit code of a job that ended with anything but a message
_HEAVY = [
    "magenet_batch.inference.restoring", "magenet_batch.jobs.run",
    "magenet_batch.jobs.work.process", "magenet_batch.jobs.check.verify",
]  # fmt: skip
"""Modules that are loaded once, before the processes of the jobs are forked."""
_ERRORS = {"full": errno.ENOSPC, "broken": errno.EIO}


@dataclass(frozen=True)
class Case:
    """One disturbed run.

    Attributes:
        where: `local` or `s3`.
        what: `fresh` or `append`.
        fault: one of `FAULTS`.
        at: the operation that it happens at, from 1; 0 only counts.
        retry: whether the command has `--retry-failed`.
    """

    where: str
    what: str
    fault: str
    at: int
    retry: bool = True


class Points(Operations):
    """Counts the operations of this process below a folder, and disturbs one of them.

    Args:
        folder: the output folder.
        fault: `full`, `broken`, `slow` or `kill`.
        at: number of the operation, from 1; 0 disturbs none.
    """

    def __init__(self, folder: Path, fault: str, at: int) -> None:
        super().__init__(folder)
        self.seen: Counter[str] = Counter()
        self._fault, self._at = fault, at
        self._lock = threading.Lock()

    def before(self, name: str, *, half: Callable[[], object] = lambda: None) -> None:
        """Count an operation; if it is the one, wait, or do half and fail or die."""
        with self._lock:
            self.seen[name] += 1
            if self.seen.total() != self._at:
                return
        if self._fault == "slow":
            time.sleep(SLOW_S)
            return
        half()
        if self._fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(_ERRORS[self._fault], os.strerror(_ERRORS[self._fault]))

    def found(self) -> Any:
        return dict(self.seen)


def points_of(root: Path, case: Case, out: str) -> Points:
    """The disturbance of a case; on a store, the server disturbs."""
    return Points(root / out, case.fault, case.at if case.where == "local" else 0)


def make_archives(root: Path) -> None:
    """The archive before it grew, in `before`, and as it is, in `in`."""
    for seed, name in enumerate(("a.jpg", "b/c.png", "b/d.png", "e.png", "gone.png")):
        jobs_fakes.write_image(root / "in" / name, seed=seed, size=64)
    shutil.copytree(root / "in", root / "before")
    jobs_fakes.write_image(root / "in/b/d.png", seed=20, size=64)
    jobs_fakes.write_image(root / "in/new.png", seed=21, size=64)
    os.utime(root / "in/e.png", ns=(1, 1))
    (root / "in/gone.png").unlink()


def options_of(root: Path, where: str, out: str, *, retry: bool = True) -> JobOptions:
    """The command that is run, disturbed and then undisturbed."""
    place = str(root / out) if where == "local" else f"s3://{BUCKET}/{out}"
    return JobOptions(
        archive=(str(root / "in"),), out=place, workers=0, gpus=0, shard_size=2, policy="all",
        evidence=True, append=True, retry_failed=retry,
    )  # fmt: skip


def work(
    root: Path,
    case: Case,
    out: str,
    tell: Any,
    environment: dict[str, str],
    watch: Callable[[Path, Case, str], Operations],
) -> None:
    """The job, in a process of its own; exits as the command line would."""
    os.environ.update(environment)
    jobs_fakes.measure_nothing()
    operations = watch(root, case, out)
    code = _TRACEBACK
    try:
        with operations.watched():
            summary = run_job(
                options_of(root, case.where, out, retry=case.retry),
                enhancer_factory=jobs_fakes.fake_factory,
            )
        code = summary.exit_code
    except MagenetError as error:
        code = error.exit_code
    except Exception:
        traceback.print_exc()
    finally:
        tell.send(operations.found())
        tell.close()
    sys.exit(code)


class Sweep:
    """Runs cases in a folder of its own.

    Args:
        root: an empty folder.
        server: an S3 server; None for local cases only.
        out: name of the output folder.
    """

    def __init__(self, root: Path, *, server: Any = None, out: str = "out") -> None:
        self._root, self._server, self._out = root, server, out
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(_HEAVY)
        self._expected: dict[tuple[str, str], Any] = {}
        make_archives(root)

    def points(self, where: str, what: str) -> Counter[str]:
        """The operations of an undisturbed run, by kind; its result is what is expected."""
        self.start(where, what)
        code, seen = self.run(Case(where, what, "kill", 0))
        if code != EXIT_DONE:
            raise SystemExit(f"the undisturbed job ended with exit code {code}")
        self._expected[where, what] = self._result(where)
        return Counter(seen)

    def try_case(self, case: Case) -> str | None:
        """Run a case.

        Returns:
            What is wrong; None if nothing is.
        """
        self.start(case.where, case.what)
        code, _ = self.run(case)
        if code not in (_KILLED, EXIT_DONE, 1, EXIT_SOME_FAILED):
            return f"the disturbed job ended with exit code {code}"
        return self.try_again(case)

    def try_again(self, case: Case) -> str | None:
        """Run the command of a case undisturbed on what is there now.

        Returns:
            What is wrong; None if the result is that of an undisturbed job.
        """
        again, _ = self.run(replace(case, at=0))
        if again != EXIT_DONE:
            return f"the same command again ended with exit code {again}"
        found, expected = self._result(case.where), self._expected[case.where, case.what]
        for name, one, other in zip(("outputs", "rows", "left over"), found, expected, strict=True):
            if one != other:
                return f"{name} differ from those of an undisturbed job"
        return None

    def start(self, where: str, what: str) -> None:
        """Make the output folder as the command finds it."""
        place = location_of(options_of(self._root, where, self._out).out)
        _clear(place)
        if what == "append":
            template = location_of(options_of(self._root, where, f"template-{where}").out)
            if not template.exists():
                self._make_template(where, template)
            _copy(template, place)

    def _make_template(self, where: str, template: Any) -> None:
        now, before = self._root / "in", self._root / "before"
        now.rename(self._root / "later")
        before.rename(now)
        code, _ = self.run(Case(where, "fresh", "kill", 0), out=template.name)
        now.rename(before)
        (self._root / "later").rename(now)
        if code != EXIT_DONE:
            raise SystemExit(f"the first job ended with exit code {code}")

    def run(
        self,
        case: Case,
        *,
        out: str | None = None,
        watch: Callable[[Path, Case, str], Operations] = points_of,
    ) -> tuple[int, Any]:
        """Run the command of a case.

        Returns:
            Its exit code, and what was found out: of `points_of`, the operations.
        """
        ours, theirs = self._processes.Pipe(duplex=False)
        environment = self._server.environment if case.where == "s3" else {}
        given = (self._root, case, out or self._out, theirs, environment, watch)
        process = self._processes.Process(target=work, args=given)
        found: Any = Counter()
        if case.where == "s3":
            self._server.disturb(process, found, fault=case.fault, at=case.at)
        process.start()
        theirs.close()
        try:
            told = ours.recv()
        except EOFError:  # killed
            told = Counter()
        process.join()
        if case.where == "s3":
            self._server.leave()
        else:
            found = told
        assert process.exitcode is not None
        return process.exitcode, found

    def _result(self, where: str) -> tuple[Any, Any, Any]:
        """Outputs, rows, and what should not be there."""
        out = location_of(options_of(self._root, where, self._out).out)
        files = _files(out)
        rows = [row for table in open_rows(out).tables(open_rows(out).schema.names)
                for row in table.to_pylist()]  # fmt: skip
        bare = [
            {k: v for k, v in row.items() if k not in TIMING_COLUMNS and k != "removed"}
            | {"removed": row["removed"] is not None}
            for row in rows
        ]
        strange = [n for n, c in files.items() if n.endswith((".tmp", ".lock")) and c != RELEASED]
        strange += [
            str(one) for one in verify(out, threads=1).findings if one.image_id != "gone.png"
        ]
        made = {n: c for n, c in files.items() if n.startswith(("images/", "evidence/"))}
        return made, bare, strange


def _files(out: Any) -> dict[str, bytes]:
    if isinstance(out, StorePath):
        from pyarrow.fs import FileSelector, FileType

        store, base = out._store, str(out).partition("://")[2]
        found = store.get_file_info(FileSelector(base, recursive=True, allow_not_found=True))
        return {
            one.path.removeprefix(f"{base}/"): store.open_input_file(one.path).read()
            for one in found
            if one.type == FileType.File
        }
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def _clear(place: Any) -> None:
    if isinstance(place, StorePath):
        if place.exists():  # removed one by one, objects leave markers of empty folders
            place._store.delete_dir(str(place).partition("://")[2])
    else:
        shutil.rmtree(place, ignore_errors=True)


def _copy(template: Any, place: Any) -> None:
    if isinstance(place, StorePath):
        for name, content in _files(template).items():
            (place / name).write_bytes(content)
    else:
        shutil.copytree(template, place)


def sweep(
    trials: Sweep, *, where: str, what: str, faults: list[str], sample: int | None, seed: int
) -> dict[str, Any]:
    """Try every operation of a job, or a random sample of them, with every fault."""
    points = trials.points(where, what)
    cases = [Case(where, what, fault, n) for fault in faults for n in range(1, points.total() + 1)]
    if sample is not None and sample < len(cases):
        cases = random.Random(seed).sample(cases, sample)
    wrong: list[str] = []
    for case in cases:
        if problem := trials.try_case(case):
            wrong.append(f"{case.fault} at {case.at}: {problem}")
            print(f"{where}, {what}: {wrong[-1]}", file=sys.stderr, flush=True)
    return {
        "where": where, "what": what, "points": dict(sorted(points.items())),
        "tried": len(cases), "failed": len(wrong), "problems": wrong, "faults": faults,
    }  # fmt: skip


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--where", nargs="+", choices=FAULTS, default=["local"])
    parser.add_argument("--faults", nargs="+")
    given = parser.parse_args()
    found = []
    for where in given.where:
        for what in given.what:
            with tempfile.TemporaryDirectory() as folder, store(where) as server:
                faults = [f for f in FAULTS[where] if not given.faults or f in given.faults]
                one = sweep(
                    Sweep(Path(folder), server=server), where=where, what=what,
                    faults=faults, sample=given.sample, seed=given.seed,
                )  # fmt: skip
            found.append(one)
            print(f"{where}, {what}: {sum(one['points'].values())} operations, "
                  f"{one['tried']} faults tried, {one['failed']} failed", flush=True)  # fmt: skip
    conclude(found, given.output)


@contextmanager
def store(where: str) -> Iterator[Any]:
    """An S3 server with an empty bucket, if it is needed."""
    if where != "s3":
        yield None
        return
    with FaultyServer(BUCKET) as server:
        yield server


if __name__ == "__main__":
    main()
