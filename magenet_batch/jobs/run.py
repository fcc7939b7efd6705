"""Run an archive job: joins plan, ledger, lock, workers and engine."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from magenet_batch.dicomweb import masked
from magenet_batch.errors import JobError, StorageError, WeightsError, printable
from magenet_batch.jobs.engine.calibration import (
    Calibration,
    Setting,
    calibrate,
    known_calibration,
)
from magenet_batch.jobs.engine.engine import Engine
from magenet_batch.jobs.engine.executor import Executor, InlineExecutor
from magenet_batch.jobs.engine.local_executor import LocalExecutor, travels
from magenet_batch.jobs.engine.machine import (
    WorkerAllocation,
    allocate_workers,
    cpu_count,
    gpu_count,
)
from magenet_batch.jobs.engine.progress import Progress, SilentProgress
from magenet_batch.jobs.engine.room import refuse_tight_limits, shortages
from magenet_batch.jobs.ledger.lease import Lease
from magenet_batch.jobs.ledger.ledger import Ledger, sweep, sweep_records
from magenet_batch.jobs.ledger.lock import job_lock
from magenet_batch.jobs.ledger.log import Log
from magenet_batch.jobs.ledger.state import JobState, is_known, open_state, refuse_foreign
from magenet_batch.jobs.ledger.summary import JobSummary
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.append import Appending
from magenet_batch.jobs.plan.background import BackgroundListing
from magenet_batch.jobs.plan.estimate import worker_seconds
from magenet_batch.jobs.plan.plan import Plan, make_plan
from magenet_batch.jobs.plan.relist import ArchiveCheck
from magenet_batch.jobs.work.enhancers import EnhancerFactory, EnhancerLike
from magenet_batch.jobs.work.remaining import remaining_units
from magenet_batch.jobs.work.worker import Worker, WorkerConfig, WorkUnit
from magenet_batch.models.catalog import read_weights_file, shipped_names
from magenet_batch.records.card import data_card
from magenet_batch.records.layout import CARD, ROWS, folders_beside, log_name, state_name
from magenet_batch.records.run_info import has_sidecars
from magenet_batch.settings import Look
from magenet_batch.stop import two_stage_stop
from magenet_batch.storage import StorePath, make_location, write_json

Say = Callable[[str], None]
_LONG_S = 600  # roughly, of a job that is worth a measurement of some seconds
_STOPPING = "Stopping after the current images. Press Ctrl-C again to stop immediately."


@dataclass(frozen=True)
class Weights:
    """Weights of a job as the driver knows them, without loading them.

    Attributes:
        name: name for people and rows; None if nothing is enhanced.
        hash: first 16 hexadecimal digits of the file's SHA-256; None for a custom factory.
        factory: loads the network in a worker; None if nothing is enhanced.
        modules: slow modules that the factory will import.
    """

    name: str | None
    hash: str | None
    factory: EnhancerFactory | None
    modules: tuple[str, ...] = ()


def run_job(
    options: JobOptions,
    *,
    plan: Plan | None = None,
    enhancer_factory: EnhancerFactory | None = None,
    progress: Progress | None = None,
    say: Say = lambda text: None,
    command: Sequence[str] = (),
    stop: threading.Event | None = None,
) -> JobSummary:
    """Enhance or assess an archive, or resume an earlier run.

    Args:
        options: options of the job.
        plan: the images of a new job, if they are known already; None lists the archive.
        enhancer_factory: makes the enhancer from (device, threads) in each worker, instead of
            loading `options.weights`: for custom networks and for tests. It must pickle; a factory
            that workers cannot import requires Ray, even for few images.
        progress: shows the progress; None shows nothing.
        say: prints messages about the job.
        command: the command line, for `run.json`.
        stop: set it from another thread to drain; in the main thread, signals set it.

    Returns:
        The result; an interrupted job is one of the possible results.

    Raises:
        UsageError: the options do not fit the archive, the machine or the job in the output folder.
        WeightsError: the weights are missing or damaged.
        JobError: the job cannot continue; everything done so far is kept.
    """
    began = time.monotonic()
    part = options.part_of_job
    weights = weights_of(options, enhancer_factory)
    out = options.out_path
    # The archive of a resumed job is listed again too, but the work need not wait for that.
    if plan is None and not is_known(out):
        plan = make_plan(options)
    refuse_foreign(out)
    for line in plan.skipped.lines() if plan is not None else ():
        say(line)
    if not (out / state_name(part)).exists() and options.address is None:
        allocation_for(
            options, images=1
        )  # refuses what this machine does not have, before anything is written
    make_location(out)
    with job_lock(out, part=part) as lease:
        if part is None:
            sweep_records(out)
        state = open_state(out, plan, identity=options.identity(weights.hash), part=part)
        ledger = _ledger(state, weights, lease)
        job = _Job(options, state, ledger, lease, weights, progress or SilentProgress(), say)
        stop = stop or threading.Event()
        if plan is not None:
            return job.finish(began=began, stop=stop, command=command)
        check: BackgroundListing = (
            Appending(options, state.plan, say=say)
            if options.append
            else ArchiveCheck(options, state.plan, stop=stop, say=say)
        )
        try:
            job.on(check.begin())
            return job.finish(began=began, stop=stop, command=command, check=check)
        finally:
            check.abandon()


def _ledger(state: JobState, weights: Weights, lease: Lease) -> Ledger:
    return Ledger(
        state.out, state.plan, weights=weights.name, weights_hash=weights.hash, part=state.part,
        sidecars=has_sidecars(state.record["identity"]), lease=lease,
    )  # fmt: skip


@dataclass
class _Job:
    """A job whose output folder is open."""

    options: JobOptions
    state: JobState
    ledger: Ledger
    lease: Lease
    weights: Weights
    progress: Progress
    say: Say

    def on(self, plan: Plan | None) -> None:
        """Continue with a plan that has grown, if there is one."""
        if plan is not None:
            self.state.plan = plan
            self.ledger = _ledger(self.state, self.weights, self.lease)

    def finish(
        self,
        *,
        began: float,
        stop: threading.Event,
        command: Sequence[str],
        check: BackgroundListing | None = None,
    ) -> JobSummary:
        """Do the remaining work, check that everything is there, and count it."""
        before, worked, finished = self.ledger.images_done(), 0, False
        grown: Plan | None = self.state.plan
        while grown is not None:
            self.on(grown)
            units = remaining_units(self.ledger, retry_failed=self.options.retry_failed, stop=stop)
            worked += sum(len(u.positions) for u in units)
            finished = not units or self.run(units, stop=stop, command=[*map(masked, command)])
            if not units and self.state.unclean:  # killed between its last image and its end
                self._sweep()
            grown = check.finish() if check is not None and (finished or check.failed) else None
        ledger = self.ledger
        counts, wrong = ledger.audit() if finished else (ledger.counts(), [])
        _refuse_incomplete(ledger, wrong)
        if finished:
            self._describe()
        counts.outcome.planned = ledger.images
        counts.outcome.copied = self.options.kept != "omit"
        return JobSummary(
            str(ledger.out), ledger.images, before, counts, time.monotonic() - began,
            worked=worked if finished else max(0, ledger.images_done() - before),
            interrupted=not finished,
        )  # fmt: skip

    def _describe(self) -> None:
        """Write the data card."""
        record = self.state.record
        card = data_card(
            options=record["identity"],
            created=record["created"],
            extra=self.state.plan.extra_schema,
        )
        write_json(card, self.ledger.out / CARD)

    def run(self, units: list[WorkUnit], *, stop: threading.Event, command: list[str]) -> bool:
        """Process the units; False if stopped before the end."""
        images = sum(len(u.positions) for u in units)
        allocation = allocation_for(
            self.options, images=images, shards=len(units), weights=self.weights, say=self.say
        )
        here = self.options.address is None
        refuse_tight_limits(
            network=here and self.weights.factory is not None,
            ray=here and allocation.executor == "ray",
        )
        self._introduce(images, allocation)
        part = self.state.part
        log = Log(self.ledger.out / log_name(part))
        # Killed runs leave half-written files behind, also next to images that are done by now.
        unswept = self.state.unclean
        self.state.begin(command=command, means=allocation.text())
        log.write(
            "begin", images=images, shards=len(units), means=allocation.text(), lock=self.lease.how
        )
        ended = "failed"
        began = time.monotonic()
        try:
            finished, lost = self._work(
                units, allocation=allocation, stop=stop, log=log, images=images
            )
            unswept = unswept or lost > 0
            ended = "finished" if finished else "interrupted"
            return finished
        except KeyboardInterrupt:  # the second signal: stop at once
            ended = "interrupted"
            return False
        finally:
            self.progress.close()
            seconds = round(time.monotonic() - began, 1)
            # What made the job fail can be in the way here too, and must not be hidden.
            with contextlib.suppress(*((StorageError,) if ended == "failed" else ())):
                if unswept or ended != "finished":
                    self._sweep()
                log.write("end", how=ended, seconds=seconds)
                self.state.end(how=ended, seconds=seconds)

    def _work(
        self,
        units: list[WorkUnit],
        *,
        allocation: WorkerAllocation,
        stop: threading.Event,
        log: Log,
        images: int,
    ) -> tuple[bool, int]:
        """Whether it ran to the end, and how many workers died during work."""
        executor: Executor | None = None
        try:
            executor = self._executor(allocation, stop)
            self.progress.start(images)
            engine = Engine(
                executor, ledger=self.ledger, workers=max(1, allocation.workers), stop=stop,
                progress=self.progress, log=log,
            )  # fmt: skip
            # After the start of Ray, which handles SIGTERM too: the last handler that is set wins.
            with two_stage_stop(stop, say=self.progress.note, text=_STOPPING):
                return engine.run(units), engine.lost
        finally:
            if executor is not None:
                executor.close()

    def _executor(self, allocation: WorkerAllocation, stop: threading.Event) -> Executor:
        config = WorkerConfig(
            out=str(self.ledger.out), factory=self.weights.factory, device=allocation.device,
            threads=allocation.library_threads, image_options=self.options.image_options,
            readers=allocation.readers, batch=allocation.batch, ahead=allocation.ahead,
            sidecars=self.ledger.sidecars,
        )  # fmt: skip
        if allocation.executor == "inline":
            return InlineExecutor(lambda: Worker(config, stop=stop))
        if allocation.executor == "local":
            return LocalExecutor(config)
        from magenet_batch.jobs.engine.ray_executor import RayExecutor

        return RayExecutor(
            config, workers=allocation.workers, cores=allocation.threads,
            gpu_share=allocation.gpu_share, gpus=allocation.gpus, address=self.options.address,
            preload=self.weights.modules,
        )  # fmt: skip

    def _introduce(self, images: int, allocation: WorkerAllocation) -> None:
        plan, planned = self.state.plan, self.ledger.images
        of = f" of the archive's {len(plan)}" if planned < len(plan) else ""
        size = f" ({plan.bytes / 1e6:.0f} MB)" if plan.bytes else ""  # servers may not tell
        self.say(f"{planned} images{of}{size}, {planned - images} already done, {images} to do")
        digest = f" ({self.weights.hash})" if self.weights.hash else ""
        what = "only measured, not enhanced"
        if self.weights.name is not None:
            what = f"weights {self.weights.name}{digest}, policy {self.options.policy}"
        self.say(f"{what}; {allocation.text()}")
        self.say(f"to {self.ledger.out}")
        to_do = plan.bytes * images // max(1, len(plan))
        for line in shortages(self.ledger.out, images=images, size=to_do):
            self.say(line)

    def _sweep(self) -> None:
        """Remove half-written files that killed workers left next to the outputs.

        They may include files of another part that is running at the same time: it writes them
        again.
        """
        out = self.ledger.out
        if isinstance(out, StorePath):
            return  # objects are written atomically: nothing is ever left half-written
        folders = self.state.plan.output_folders(self.ledger.shards)
        folders += [beside for folder in folders for beside in folders_beside(folder)]
        sweep(sorted({out, out / ROWS} | {out / folder for folder in folders}))


def allocation_for(
    options: JobOptions,
    *,
    images: int,
    shards: int | None = None,
    weights: Weights | None = None,
    say: Say | None = None,
) -> WorkerAllocation:
    """Divide this machine, or the cluster at the given address, among workers.

    Args:
        options: options of the job.
        images: number of images left to do.
        shards: number of shards left to do; None: one per image.
        weights: weights of the job, if they are known.
        say: prints what is measured. A long job on the CPU measures once how many workers are
            fastest on this machine; None measures nothing, and uses what is known.

    Raises:
        UsageError: more GPUs are requested than are available.
    """
    if options.address is None:
        none = options.gpus == 0 or options.assess
        cpus, gpus, memory = cpu_count(), (0 if none else gpu_count()), None
    else:
        from magenet_batch.jobs.engine.ray_start import cluster_resources

        there = cluster_resources(options.address)
        cpus, gpus = int(there.get("CPU", 1)), int(there.get("GPU", 0))
        memory = int(there["memory"]) if "memory" in there else None
    measured = None
    if options.workers is None and options.address is None and not gpus and weights is not None:
        long = worker_seconds(images, 0) >= _LONG_S * cpus
        measured = _measured_workers(weights, cpus, measure=say is not None and long, say=say)
    return allocate_workers(
        workers=options.workers, gpus=options.gpus, images=images, shards=shards, cpus=cpus,
        gpus_there=gpus, measured=measured, memory=memory,
        may_be_local=options.address is None
        and travels(None if weights is None else weights.factory),
    )  # fmt: skip


def _measured_workers(weights: Weights, cpus: int, *, measure: bool, say: Say | None) -> int | None:
    """Number of workers that is known, or now measured, to be fastest with some weights."""
    if weights.hash is None or cpus < 2:
        return None
    say = say or (lambda text: None)
    setting = Setting.of(weights.hash, cores=cpus)
    found = known_calibration(setting, say=say)
    if found is None and measure:
        found = calibrate_machine(weights, setting, say=say)
    return None if found is None else found.best.workers


def calibrate_machine(weights: Weights, setting: Setting, *, say: Say) -> Calibration | None:
    """Measure how many workers are fastest on this machine, and keep the result.

    Args:
        weights: weights of a job.
        setting: the machine and the installation.
        say: prints what is done and found.

    Returns:
        The calibration; None if it could not be measured.
    """
    from magenet_batch.jobs.engine.trial import measure_rates

    assert weights.factory is not None
    return calibrate(setting, partial(measure_rates, weights.factory, cpus=setting.cores), say=say)


def _refuse_incomplete(ledger: Ledger, wrong: list[str]) -> None:
    """Raise an error that lists the problems found at the end of a job, if there are any."""
    if wrong:
        more = [f"and {len(wrong) - 10} more"] if len(wrong) > 10 else []
        raise JobError(
            "\n".join(
                [
                    f"The output folder {ledger.out} is incomplete:",
                    *(f"  {printable(line)}" for line in [*wrong[:10], *more]),
                    "Add --retry-failed to the same command to recreate missing outputs.",
                ]
            )
        )


def weights_of(options: JobOptions, factory: EnhancerFactory | None = None) -> Weights:
    """Find the weights of a job and hash them, without importing torch.

    Args:
        options: options of the job.
        factory: makes the enhancer instead, if given.

    Raises:
        WeightsError: the weights are missing or damaged.
    """
    if options.assess:
        return Weights(None, None, None)
    if factory is not None:
        inner = factory.func if isinstance(factory, partial) else factory
        return Weights(getattr(inner, "__qualname__", type(inner).__qualname__), None, factory)
    found = read_weights_file(options.weights)
    # Names are passed on as names, so that a worker on another node finds its own copy.
    known_as = options.weights if options.weights in shipped_names() else str(found.path)
    factory = partial(
        load_enhancer,
        weights=known_as,
        expected=found.hash,
        blend=options.blend,
        look=options.look,
    )
    return Weights(found.name, found.hash, factory, ("magenet_batch.inference.enhancer",))


def load_enhancer(
    device: str,
    threads: int,
    *,
    weights: str,
    expected: str | None = None,
    blend: float = 1.0,
    look: Look = "natural",
) -> EnhancerLike:
    """Load the network in a worker, the only process that needs torch.

    Args:
        device: `cpu` or `cuda:0`.
        threads: CPU threads.
        weights: name of shipped weights, or path of a file.
        expected: hash that the job started with; None accepts any.
        blend: weight of the enhanced image in the result, 0..1.
        look: `natural` or `clear`.

    Raises:
        WeightsError: the weights cannot be loaded, or are not those that the job started with.
    """
    from magenet_batch.inference.enhancer import Enhancer
    from magenet_batch.models.memory import keep_freed_memory

    if device == "cpu":
        keep_freed_memory()
    enhancer = Enhancer.load(weights, device=device, threads=threads, blend=blend, look=look)
    if expected is not None and enhancer.weights_hash != expected:
        raise WeightsError(
            f"The weights {weights} differ between workers: this one has "
            f"{enhancer.weights_hash}, the job started with {expected}. "
            "Give every node the same file."
        )
    return enhancer
