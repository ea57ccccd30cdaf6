"""Runs a prepared workflow on this machine, from the detection of resources to the final summary."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Self

from torc_cli.execute.capacity import Asked, offered
from torc_cli.execute.consumers import Halter, LogWriter
from torc_cli.execute.halt import Halt
from torc_cli.execute.joblog import Joblog
from torc_cli.execute.lasting import Times
from torc_cli.execute.places import registered
from torc_cli.execute.printing import Keeper, Printer, Style
from torc_cli.execute.resuming import resume, retry_failed
from torc_cli.execute.summary import (
    FailureLines,
    QuietAnswer,
    exit_code,
    failed_jobs,
    leaving_line,
    next_command,
    run_answer,
)
from torc_cli.execute.watching import Consumer, Overlooked, Reporter
from torc_cli.reconcile import deliver_command
from torc_core.detection import Detected
from torc_core.engine.retry import decide
from torc_core.errors import Conflict, NotFound, Unavailable
from torc_core.model import (
    Assignment,
    FailureHandler,
    Job,
    JobId,
    Query,
    Result,
    Totals,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Distant, Executor, Monitor, Store
from torc_core.record import record
from torc_core.runner.options import Execution, Options
from torc_core.runner.report import End
from torc_core.runner.report import Report as RunnerReport
from torc_core.runner.seat import Seat
from torc_core.session import Session
from torc_terminal.output.answer import Report as Answer
from torc_terminal.preparing import initialize, refuse_archived
from torc_terminal.processes import living_here
from torc_terminal.progress import ProgressView
from torc_terminal.standing import amount
from torc_terminal.walking import every

if TYPE_CHECKING:
    from torc_cli.execute.signalled import Signalled

EXECUTOR, MONITOR = "subprocess", "psutil"
RUNNER_LOG = "torc_core.runner"


@record(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a workflow is to be run.

    Parameters
    ----------
    slots
        At most so many jobs at once, resources ignored, given the CPUs that are offered; 0: packed by resources.
    slots_given
        Whether the user said so, so that what other runners hold does not matter.
    patience
        A job is ended that takes so many times the median of the others; None: none is for that.
    joblog
        Path of the job log, and whether it is appended to.
    style
        How the output of jobs is printed; None: not at all.
    results
        Folder for the output of each job.
    progress
        `bar`, `lines` or `none`; None: what fits.
    idle
        Leave after so many seconds without work; 0: never; None: as the workflow says.
    remote
        This is the worker of that name, started over SSH.
    node_file
        Where the runner's registration is written down.
    seq, tag, place
        Of a job: its number in the job log, what its lines are tagged with, its folder below `results`.
    """

    asked: Asked = field(default_factory=Asked)
    slots: Callable[[int], int] = lambda cpus: 0
    slots_given: bool = False
    output_dir: str = "torc_output"
    times: Times = field(default_factory=Times)
    patience: float | None = None
    label: str | None = None
    persistent: bool = False
    joblog: tuple[str, bool] | None = None
    halt: Halt | None = None
    style: Style | None = None
    results: str | None = None
    progress: str | None = None
    exit_zero: bool = False
    resume: bool = True
    retry_failed: bool = False
    idle: float | None = None
    remote: str | None = None
    node_file: str | None = None
    seq: Callable[[Job], int] = lambda job: job.id
    tag: Callable[[Job], str] = lambda job: job.name
    place: Callable[[Job], str] = lambda job: str(job.id)


def execute(session: Session, store: Store, workflow: WorkflowId, wish: Wish) -> Answer | QuietAnswer:
    """Resume, initialise and run a workflow until its runner leaves; the summary.

    Raises
    ------
    Conflict
        If it is archived, inputs are missing, or nothing is free on this host.
    NotFound
        If it is deleted meanwhile.
    """
    (totals,) = store.totals([workflow])
    refuse_archived(totals)
    resumes = wish.resume and not totals.workflow.is_canceled
    if resumes and (resumed := resume(store, workflow, lambda: executor_of(session))):
        session.note(resumed)
        (totals,) = store.totals([workflow])
    if wish.retry_failed:
        if said := retry_failed(store, totals):
            session.note(said)
        (totals,) = store.totals([workflow])
    initialize(session, store, totals)
    (totals,) = store.totals([workflow])
    if totals.complete:
        return nothing_to_run(store, totals, wish)
    # NOTE: a worker started over SSH knows its own workflow only (`security.md` S9).
    others = [] if wish.slots_given else living_here(store, workflow if wish.remote else None)
    detected = offered(detect(session), wish.asked, others)
    started = session.clock.monotonic()
    try:
        with Following(session, store, totals, wish) as following:
            report = following.run(detected)
        (totals,) = after(store, workflow, report)
    except NotFound as error:
        if store.find(Workflow, Query(where={"id": workflow}, limit=1)).items:
            raise
        raise NotFound(
            f"workflow {workflow} was deleted while it ran; what ran here of it was ended"
        ) from error
    wall = session.clock.monotonic() - started
    return following.answer(report, totals, wall, detected)


def after(store: Store, workflow: WorkflowId, report: RunnerReport) -> Sequence[Totals]:
    """How a workflow is when its runner has left; where the store is away, the runner knows better why."""
    try:
        return store.totals([workflow])
    except Unavailable as error:
        raise Unavailable(report.detail or str(error)) from error


def nothing_to_run(store: Store, totals: Totals, wish: Wish) -> Answer | QuietAnswer:
    """The summary of a complete workflow, and how to run it again (R4)."""
    number = totals.workflow.id
    again = (
        f": it is canceled; to run it again: torc workflows reset-status {number} --failed-only -r (what was canceled)"
        if totals.workflow.is_canceled
        else f"; to run it again: torc workflows reinit {number} (changed inputs)"
    )
    return run_answer(
        totals,
        wall_seconds=0.0,
        output_dir=os.path.abspath(wish.output_dir),
        failed=failed_jobs(store, number, (), error_file(totals.workflow, wish.output_dir)),
        code=zeroed(exit_code(None, totals), wish),
        hint=f"nothing to run{again} or torc workflows reset-status {number} -r (all)",
        to_stderr=wish.style is not None,
    )


@contextmanager
def executor_of(session: Session) -> Iterator[Executor]:
    """What starts processes here, for a while."""
    provider = session.host.executors[EXECUTOR]
    executor = provider.open(session.host.settings("executors", provider))
    try:
        yield executor
    finally:
        executor.close()


def detect(session: Session) -> Detected:
    """What this host has.

    Raises
    ------
    Conflict
        If no plugin can tell.
    """
    found = session.host.detect_resources()
    if found is None:
        raise Conflict(
            "no installed plugin can tell what this host has; install one, or enable 'psutil' (see 'torc plugins list')"
        )
    return found


def zeroed(code: int, wish: Wish) -> int:
    """`--exit-zero` turns 1 into 0 (C16)."""
    return 0 if code == 1 and wish.exit_zero else code


def error_file(workflow: Workflow, output_dir: str) -> Callable[[Result], str | None]:
    """Where the errors of a result are below an output directory, as its stdio mode says."""
    execution = Execution.of(workflow.execution_config)
    folder = os.path.join(os.path.abspath(output_dir), "job_stdio")

    def path(result: Result) -> str | None:
        mode = execution.overrides.get(result.job_name, execution.stdio)
        number = f"job_wf{workflow.id}_j{result.job_id}_r{result.run_id}_a{result.attempt_id}"
        out, err = mode.paths(os.path.join(folder, number))
        return err or out

    return path


@contextmanager
def users_umask(session: Session) -> Iterator[None]:
    """Give the process the user's own umask, which jobs inherit; files of torc are made with explicit modes."""
    before = os.umask(session.umask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def runner_log_in_its_file(session: Session) -> Iterator[None]:
    """Keep what the runner logs off the terminal, unless it was asked for: failed jobs have lines of their own."""
    import logging

    handlers = [] if session.verbose else list(logging.getLogger().handlers)

    def other(record: logging.LogRecord) -> bool:
        return record.name != RUNNER_LOG or record.levelno >= logging.ERROR

    for handler in handlers:
        handler.addFilter(other)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(other)


def tried_again(store: Store, workflow: Workflow) -> Callable[[End], bool]:
    """Tells whether the failure handlers of a workflow have a job tried once more after an end.

    Where a recovery script decides, nobody knows yet.
    """
    handlers = {one.id: one.rules for one in every(store, FailureHandler, workflow.id)}

    def again(end: End) -> bool:
        job, ending = end.given.job, end.ending
        rules = handlers.get(job.failure_handler_id, ()) if job.failure_handler_id is not None else ()
        return decide(
            rules, ending.status, ending.return_code, ending.reason, attempt_id=ending.attempt_id,
            losses=job.losses, retry_on_node_loss=workflow.retry_on_node_loss,
        ).again  # fmt: skip

    return again


class Following:
    """One run, with all that looks on: progress, failed jobs, printing, the job log, the halt condition."""

    def __init__(self, session: Session, store: Store, totals: Totals, wish: Wish) -> None:
        self._session = session
        self._store = store
        self._totals = totals
        self._wish = wish
        self._queue = Overlooked(store, registered(wish.node_file) if wish.node_file else None)
        live = session.progress and wish.progress in (None, "bar")
        plain = not session.quiet and wish.progress != "none"
        self._view = ProgressView(self._look, session.clock, live=live, plain=plain)
        self._lines = FailureLines(self._view.say)
        self._halter: Halter | None = None
        if wish.halt is not None:
            self._halter = Halter(wish.halt, totals.total, self._halt, tried_again(store, totals.workflow))
        counted = self._halter.ended if self._halter is not None else None
        self._reporter = Reporter(self._consumers(), self._lines, self._view.say, counted)
        self._runner: Signalled | None = None

    def __enter__(self) -> Self:
        live = self._wish.style is not None and bool(self._wish.style.live)
        self._reporter.start(self._queue.running if live else None)
        self._view.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._reporter.close()
        self._view.__exit__(None, None, None)

    def run(self, detected: Detected) -> RunnerReport:
        """Run until there is a reason to leave."""
        from torc_cli.execute.signalled import Signalled

        session, wish = self._session, self._wish
        slots = wish.slots(detected.capacity.cpus)
        session.note(self._opening(detected, slots))
        measurable = MONITOR in session.host.monitors
        with executor_of(session) as executor, users_umask(session), runner_log_in_its_file(session):
            self._runner = Signalled(
                self._queue,
                executor,
                session.clock,
                self._totals.workflow,
                detected,
                environ=session.config.environ,
                options=Options(
                    output_dir=wish.output_dir,
                    max_parallel_jobs=slots,
                    label=wish.label,
                    persistent=wish.persistent,
                    idle=wish.idle,
                    job_url=session.job_url,
                    end=wish.times.end,
                    patience=wish.patience,
                    poll_interval=wish.times.poll_interval,
                    spools=isinstance(self._store, Distant),
                    beat=session.config.server.beat_seconds,
                    fences=not session.config.client.offline.enabled,
                    ping_interval=session.config.client.offline.drain_ping_interval_secs,
                    batches=session.batches,
                    deliver=deliver_command(
                        session, self._totals.workflow.id, self._totals.workflow.run_id, wish.output_dir
                    ),
                ),
                watcher=self._reporter,
                chores=self._store,
                monitor=self._monitor()
                if measurable and self._totals.workflow.resource_monitor_config
                else None,
                sampler=self._monitor if measurable else None,
                seat=Seat(scheduler={"type": "remote", "worker": wish.remote}) if wish.remote else None,
            )
            self._runner.tell = self._reporter.tell
            self._runner.lead = Execution.of(self._totals.workflow.execution_config).lead
            return self._runner.run()

    def answer(
        self, report: RunnerReport, totals: Totals, wall: float, detected: Detected
    ) -> Answer | QuietAnswer:
        """The summary of what happened."""
        session, wish = self._session, self._wish
        if self._lines.unsaid:
            session.note(f"… and {amount(self._lines.unsaid, 'more failed job')}")
        if self._reporter.error is not None:
            session.warn(f"not all output could be printed or logged: {self._reporter.error}")
        for warning in report.warnings:
            session.warn(warning)
        halted = self._halter is not None and self._halter.halted
        if halted:
            session.note(f"halted: {amount(totals.total - totals.done, 'job')} left")
        elif line := leaving_line(report, totals):
            session.note(line)
        code = self._halter.exit_code if halted and self._halter is not None else exit_code(report, totals)
        work, slots = self._reporter.work, wish.slots(detected.capacity.cpus)
        used, of = (work.seconds, slots) if slots else (work.cpu_seconds, detected.capacity.cpus)
        return run_answer(
            totals,
            wall_seconds=wall,
            output_dir=os.path.abspath(wish.output_dir),
            failed=failed_jobs(
                self._store,
                totals.workflow.id,
                report.failures,
                error_file(totals.workflow, wish.output_dir),
            ),
            code=zeroed(code, wish),
            utilisation=min(1.0, used / (wall * of)) if wall > 0 and of else None,
            hint=next_command(totals),
            to_stderr=wish.style is not None,
        )

    def _opening(self, detected: Detected, slots: int) -> str:
        workflow = self._totals.workflow
        left = self._totals.total - self._totals.done
        how = f"{slots} at once" if slots else f"{detected.capacity.cpus} CPUs"
        return f"running workflow {workflow.id} '{workflow.name}': {amount(left, 'job')}, {how}"

    def _look(self) -> Totals:
        return self._store.totals([self._totals.workflow.id])[0]

    def _halt(self) -> None:
        self._queue.halt()
        if self._wish.halt is not None and self._wish.halt.now and self._runner is not None:
            self._runner.kill()

    def _monitor(self) -> Monitor:
        """What measures jobs."""
        host = self._session.host
        provider = host.monitors[MONITOR]
        return provider.open(host.settings("monitors", provider))

    def _consumers(self) -> list[Consumer]:
        wish, consumers = self._wish, list[Consumer]()
        if wish.style is not None:
            # In JSON mode standard output belongs to the summary alone (C12).
            streams = (sys.stderr.buffer, sys.stderr.buffer) if self._session.format == "json" else None
            consumers.append(
                Printer(
                    wish.style,
                    self._paths,
                    wish.tag,
                    order=self._order(),
                    show=self._view.hide,
                    streams=streams,
                    again=tried_again(self._store, self._totals.workflow),
                )
            )
        if wish.results is not None:
            consumers.append(Keeper(wish.results, wish.place))
        if wish.joblog is not None:
            path, append = wish.joblog
            consumers.append(LogWriter(Joblog(path, append=append), os.uname().nodename, wish.seq))
        return consumers

    def _order(self) -> Iterator[JobId] | None:
        if self._wish.style is None or not self._wish.style.keep_order:
            return None
        jobs = every(self._store, Job, self._totals.workflow.id)
        return iter([job.id for job in jobs if job.status.open])

    def _paths(self, given: Assignment) -> tuple[str | None, str | None]:
        execution = Execution.of(self._totals.workflow.execution_config)
        job = given.job
        folder = os.path.join(os.path.abspath(self._wish.output_dir), "job_stdio")
        base = os.path.join(folder, f"job_wf{job.workflow_id}_j{job.id}_r{job.run_id}_a{job.attempt_id}")
        return execution.overrides.get(job.name, execution.stdio).paths(base)
