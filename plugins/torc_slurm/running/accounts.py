"""What Slurm's accounting says of the steps of an allocation, gathered beside the loop (`slurm.md` EX6)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Lock, Thread

from torc_core.errors import NotFound, TorcError
from torc_core.model import JobId, JobUsage, SlurmStats, Workflow
from torc_core.protocols import Clock, Store, Task
from torc_core.record import record
from torc_core.runner.log import log
from torc_slurm.running.stepping import name_of
from torc_slurm.scheduler.answers import Accounted
from torc_slurm.scheduler.sizes import size
from torc_slurm.scheduler.slurm import Slurm
from torc_slurm.scheduler.times import seconds

EVERY = 30.0
"""Seconds between two questions to the accounting, and between two looks at what runs, for each live allocation."""
LAST = 30.0
"""Seconds for which a question under way is waited for when the runner leaves."""
TRIES = 6
AT_THE_END, PAUSE = 3, 3.0
"""Questions when the runner leaves, and the seconds between them: the accounting lags."""
FIELDS = (
    "JobName", "MaxRSS", "MaxVMSize", "MaxDiskRead", "MaxDiskWrite", "AveCPU", "NodeList", "State", "ExitCode",
)  # fmt: skip


@record(frozen=True, slots=True, kw_only=True)
class Past:
    """A step that is over, and has not been found in the accounting yet."""

    job: JobId
    run_id: int
    attempt_id: int
    tries: int = 0


class Accounts:
    """Asks for what has ended, writes it down in the store, and looks at what runs.

    Parameters
    ----------
    every
        Seconds between two looks while the workflow has one allocation; with more of them each looks less often, so
        that Slurm is asked no more by a thousand than by one.
    """

    def __init__(
        self,
        store: Store,
        slurm: Slurm,
        clock: Clock,
        workflow: Workflow,
        number: str,
        *,
        every: float = EVERY,
    ) -> None:
        self._every = every
        self._store = store
        self._slurm = slurm
        self._clock = clock
        self._workflow = workflow
        self._number = number
        self._lock = Lock()
        self._past: dict[str, Past] = {}
        self._running: set[str] = set()
        self._peaks: dict[str, JobUsage] = {}
        self._live = 1
        self._over = Event()
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def began(self, name: str) -> None:
        """A step has begun."""
        with self._lock:
            self._running.add(name)

    def ended(self, task: Task, step: str | None, lasted: float) -> JobUsage:
        """A step is over; what was seen of it while it ran."""
        name = name_of(task)
        run_id = int(name.split("_r")[-1].split("_")[0])
        with self._lock:
            self._running.discard(name)
            self._past[name] = Past(job=task.job, run_id=run_id, attempt_id=task.attempt_id)
            seen = self._peaks.pop(step or "", JobUsage())
        cpu = seen.avg_cpu_percent
        # NOTE: until here it was the seconds of CPU that were seen last.
        percent = 100 * cpu / lasted if cpu and lasted > 0 else None
        return JobUsage(peak_memory_bytes=seen.peak_memory_bytes, avg_cpu_percent=percent)

    def close(self) -> None:
        """Ask for the last ones, for some seconds."""
        self._over.set()
        self._thread.join(LAST)
        for attempt in range(AT_THE_END):
            if not self._past:
                return
            if attempt:
                Event().wait(PAUSE)
            if not self._ask():
                break
        if self._past:
            log.info("not_accounted steps=%d", len(self._past))

    def _work(self) -> None:
        while not self._over.wait(self._pause()):
            try:
                self._look()
                self._ask()
            except TorcError as error:
                log.info("accounting_away why=%s", error)

    def _pause(self) -> float:
        """Seconds until the next look."""
        try:
            live = self._store.totals([self._workflow.id])[0].active_allocations
        except TorcError:
            live = self._live
        self._live = max(1, live)
        return self._every * self._live

    def _look(self) -> None:
        """See what the steps that run have used."""
        if not self._running:
            return
        words = ("-j", self._number, "--allsteps", "-n", "-P", "--noconvert", "--format=JobID,AveCPU,MaxRSS")
        done = self._slurm.ran("sstat", *words, bucket=None)
        for line in done.out.splitlines() if done.code == 0 else ():
            step, _, rest = line.partition("|")
            cpu, _, memory = rest.partition("|")
            with self._lock:
                before = self._peaks.get(step, JobUsage())
                self._peaks[step] = JobUsage(
                    peak_memory_bytes=max(size(memory) or 0, before.peak_memory_bytes or 0) or None,
                    avg_cpu_percent=seconds(cpu) or before.avg_cpu_percent,
                )

    def _ask(self) -> bool:
        """One question for all steps that are over; whether there was an answer."""
        with self._lock:
            wanted = dict(self._past)
        if not wanted:
            return True
        try:
            rows = self._slurm.accounts(FIELDS, numbers=[self._number], steps=True)
            if rows is None:
                self._past.clear()
                return True
            found = {row.fields["JobName"]: row for row in rows if row.standing.over}
            told = [self._stats(past, found[name]) for name, past in wanted.items() if name in found]
            if told:
                self._keep(told)
        except TorcError as error:
            log.info("accounting_away why=%s", error)
            return False
        with self._lock:
            for name, past in wanted.items():
                if name in found or past.tries + 1 >= TRIES:
                    self._past.pop(name, None)
                else:
                    self._past[name] = Past(
                        job=past.job, run_id=past.run_id, attempt_id=past.attempt_id, tries=past.tries + 1
                    )
        return True

    def _keep(self, told: Sequence[SlurmStats]) -> None:
        """Write it down; what is told of jobs that are gone is left out."""
        try:
            self._store.add(told)
        except NotFound:
            for one in told:
                with suppress(NotFound):
                    self._store.add([one])

    def _stats(self, past: Past, row: Accounted) -> SlurmStats:
        fields = row.fields
        return SlurmStats(
            workflow_id=self._workflow.id,
            job_id=past.job,
            run_id=past.run_id,
            attempt_id=past.attempt_id,
            slurm_job_id=self._number,
            node_list=fields["NodeList"] or None,
            ave_cpu_seconds=seconds(fields["AveCPU"]),
            max_rss_bytes=_some(fields["MaxRSS"]),
            max_vm_size_bytes=_some(fields["MaxVMSize"]),
            max_disk_read_bytes=_some(fields["MaxDiskRead"]),
            max_disk_write_bytes=_some(fields["MaxDiskWrite"]),
        )


def _some(text: str) -> int | None:
    """A size; zero means that nobody looked."""
    return size(text) or None
