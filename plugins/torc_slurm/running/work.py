"""The life of a runner in an allocation, from the first line of its log to the last (`slurm.md` §5)."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import NoReturn

from torc_core.detection import Detected
from torc_core.engine.resets import check_open
from torc_core.errors import Conflict
from torc_core.model import Workflow, WorkflowId
from torc_core.model.resources import memory_text
from torc_core.protocols import Distant, Monitor, Store
from torc_core.record import record
from torc_core.runner import stagger
from torc_core.runner.lease import insist
from torc_core.runner.log import log, log_to
from torc_core.runner.options import Execution, Options
from torc_core.runner.place import output_folder
from torc_core.runner.report import Leaving, Report
from torc_core.runner.runner import Runner
from torc_core.runner.seat import Seat
from torc_core.runner.signals import OBEYED
from torc_core.session import Session
from torc_slurm.running import resources
from torc_slurm.running.allocation import Place
from torc_slurm.running.earlier import go_on
from torc_slurm.running.ending import ASK, end_of
from torc_slurm.running.executors import opened
from torc_slurm.running.records import keep_environment, keep_kernel_log
from torc_slurm.running.waiting import Prospects
from torc_slurm.scheduler.slurm import Slurm
from torc_terminal.output.stdout import write

MONITOR = "psutil"
ANNOUNCED_BEFORE = 30.0
"""Seconds that Slurm's announcement of the end comes before the jobs have to be signalled (`slurm.md` SB3)."""
EARLY = 90.0
"""Seconds that Slurm may be early with it, and we late to look."""
GRACE = 30.0
"""Seconds from SIGTERM to SIGKILL, where Slurm is left as it comes (KillWait)."""


@record(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the batch script says.

    Parameters
    ----------
    delay
        Window in which the first contact with the server is made, seconds.
    patience
        Seconds to wait for it.
    """

    url: str
    workflow: int
    output_dir: str
    max_parallel_jobs: int
    poll_interval: float
    delay: float
    is_subtask: bool
    patience: float
    submission_key: str | None


class Left:
    """How a runner left an allocation: one line, and the exit code."""

    def __init__(self, report: Report) -> None:
        self._report = report

    @property
    def exit_code(self) -> int:
        """0 for every orderly end, so that Slurm does not call the allocation failed."""
        report = self._report
        if report.signal is not None:
            return 130 if report.signal == signal.SIGINT else 143
        return 4 if report.leaving in (Leaving.AWAY, Leaving.FENCED) else 0

    def render(self, session: Session) -> None:
        """Say it."""
        tally = self._report.tally
        why = f": {self._report.detail}" if self._report.detail else ""
        write(
            f"left ({self._report.leaving}{why}); jobs here: {tally.completed} completed, {tally.failed} failed, "
            f"{tally.canceled} canceled, {tally.terminated} terminated\n"
        )
        for warning in self._report.warnings:
            session.warn(warning)


def work(session: Session, wish: Wish) -> Left:
    """Run jobs until there is a reason to leave.

    Raises
    ------
    UsageError
        If this is no allocation, or the output directory cannot be written to.
    Unavailable
        If the server cannot be reached.
    Conflict
        If the workflow is archived, or nothing is to be had here.
    """
    clock, environ = session.clock, session.config.environ
    place = Place.of(environ, os.getpid())
    folder = output_folder(wish.output_dir)
    name = f"wf{wish.workflow}_{place.label}"
    begun = clock.monotonic()
    with ended_by_signals():
        # The runner opens its log itself.
        with log_to(f"{folder}/{log_file(name)}"):
            keep_environment(f"{folder}/slurm_env_{name}.log", environ)
            stagger_start(environ, wish.delay)
            store = insist(lambda: session.host.open_store(wish.url, clock), clock, wish.patience)[0]
            try:
                workflow, detected, end = prepare(session, store, place, wish)
            except BaseException:
                store.close()
                raise
        try:
            report = carry_out(session, store, workflow, place, detected, end, wish, name)
        finally:
            store.close()
    if report.tally.failed or report.tally.terminated:
        keep_kernel_log(f"{folder}/dmesg_slurm_{name}.log", clock.monotonic() - begun)
    return Left(report)


def log_file(name: str) -> str:
    """The log of the runner that is called so."""
    return f"job_runner_slurm_{name}.log"


def stagger_start(environ: Mapping[str, str], window: float) -> None:
    """Wait for this runner's time within the window."""
    seconds = stagger.delay(os.uname().nodename, environ, window)
    if seconds > 0:
        log.info("startup delay %.1f s of %g s window", seconds, window)
        Event().wait(seconds)


def prepare(
    session: Session, store: Store, place: Place, wish: Wish
) -> tuple[Workflow, Detected, float | None]:
    """The workflow, what is offered to it here, and when this has to end, monotonic seconds."""
    clock, environ = session.clock, session.config.environ
    if isinstance(store, Distant):
        said = insist(store.hello, clock, wish.patience)[0]
        log.info("server url=%s version=%s", store.url, said.version)
    totals = insist(lambda: store.totals([WorkflowId(wish.workflow)])[0], clock, wish.patience)[0]
    check_open(wish.workflow, totals.workflow.is_archived, "run")
    insist(lambda: go_on(store, totals.workflow, place), clock, wish.patience)
    found = session.host.detect_resources()
    if found is None:
        raise Conflict("no installed plugin can tell what this node has; enable 'psutil'")
    usable = 1.0 if resources.is_node(environ) else resources.USABLE  # by the hook already, or not yet
    detected = resources.offered(environ, found, nodes=place.nodes, is_subtask=wish.is_subtask, usable=usable)
    now = clock.now()
    at = end_of(environ, now, lambda: asked(session, place))
    log.info(
        "allocation slurm_job_id=%s node=%d of=%d restarts=%d cpus=%d memory=%s gpus=%s seconds_left=%s",
        *(place.number, place.node, place.nodes, place.restarts, detected.capacity.cpus),
        memory_text(detected.capacity.memory),
        ",".join(detected.gpus) or "-",
        "-" if at is None else (at - now) // 1000,
    )
    return totals.workflow, detected, None if at is None else clock.monotonic() + (at - clock.now()) / 1000


def asked(session: Session, place: Place) -> str | None:
    """What squeue says of our end; None: it does not."""
    slurm = Slurm.of(session.config, session.clock, limit=20.0)
    done = slurm.ran("squeue", "-j", place.number, *ASK)
    if done.code != 0 or not done.out.strip():
        log.warning("end_unknown slurm_job_id=%s why=%s", place.number, done.said)
        return None
    return done.out.strip().splitlines()[-1]


def carry_out(
    session: Session,
    store: Store,
    workflow: Workflow,
    place: Place,
    detected: Detected,
    end: float | None,
    wish: Wish,
    name: str,
) -> Report:
    """Run it."""
    clock, execution = session.clock, Execution.of(workflow.execution_config)
    margin = max(
        float(workflow.compute_node_expiration_buffer_seconds or 0), execution.lead + execution.headroom
    )
    with (
        opened(session, store, workflow, place, detected, end) as (executor, offered),
        session.host.own(store, clock) as job_url,
        users_umask(session),
    ):
        prospects = Prospects(
            store, clock, workflow, place.number, offered, None if end is None else end - margin
        )
        measurable = MONITOR in session.host.monitors
        runner = Runner(
            store,
            executor,
            clock,
            workflow,
            offered,
            environ=session.config.environ,
            options=Options(
                output_dir=wish.output_dir,
                max_parallel_jobs=wish.max_parallel_jobs,
                strict_scheduler_match=session.config.client.slurm.strict_scheduler_match,
                job_url=job_url,
                end=end,
                poll_interval=wish.poll_interval,
                spools=isinstance(store, Distant),
                beat=session.config.server.beat_seconds,
                fences=not session.config.client.offline.enabled,
                ping_interval=session.config.client.offline.drain_ping_interval_secs,
                grace=GRACE,
                deliver=deliver_command(session, workflow, wish),
                batches=lambda: tuple(session.host.batches(store, clock, wish.url).values()),
                log=log_file(name),
                series=f"{place.number}_{place.node}_{place.task}",
                expects=prospects.good,
            ),
            chores=store,
            monitor=monitor_of(session) if measurable and workflow.resource_monitor_config else None,
            sampler=(lambda: monitor_of(session)) if measurable else None,
            seat=Seat(
                type="slurm",
                scheduler=place.told,
                submission_key=wish.submission_key,
                restart_count=place.restarts,
                announced=execution.lead + execution.headroom + ANNOUNCED_BEFORE + EARLY,
            ),
        )
        return runner.run()


def deliver_command(session: Session, workflow: Workflow, wish: Wish) -> list[str]:
    """The words with which the guardian of a dead runner has its results delivered."""
    client = session.config.client
    files = (("--token-file", client.token_file), ("--tls-ca-cert", client.tls.ca_cert))
    options = [word for option, path in files if path for word in (option, os.path.abspath(path))]
    return [
        *(sys.executable, "-m", "torc_core", "--quiet", "--store", wish.url, *options, "reconcile"),
        *(str(workflow.id), str(workflow.run_id), "--base-dir", os.path.abspath(wish.output_dir)),
    ]


def monitor_of(session: Session) -> Monitor:
    """What measures jobs."""
    provider = session.host.monitors[MONITOR]
    return provider.open(session.host.settings("monitors", provider))


@contextmanager
def users_umask(session: Session) -> Iterator[None]:
    """Give the process the user's own umask, which jobs inherit; files of torc are made with explicit modes."""
    before = os.umask(session.umask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Leave at once when told to, with 128 and the number of the signal, as long as no runner listens."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        log.warning("signal number=%d", number)
        raise SystemExit(128 + number if number != signal.SIGHUP else 128 + signal.SIGTERM)

    before = [
        (one, signal.signal(one, leave)) for one in OBEYED if signal.getsignal(one) is not signal.SIG_IGN
    ]
    try:
        yield
    finally:
        for one, handler in before:
            signal.signal(one, handler)
