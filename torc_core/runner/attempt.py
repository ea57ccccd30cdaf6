"""A job that this runner holds, from the claim until its end is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torc_core.model import Assignment, Held, JobId, Recovery, Shape
from torc_core.protocols import Exit, Task
from torc_core.record import record
from torc_core.runner import environment
from torc_core.runner.ledger import Slot
from torc_core.runner.options import Execution
from torc_core.runner.outcome import Cause
from torc_core.runner.outputs import Search


@dataclass(slots=True)
class Attempt:
    """What is known of one attempt.

    Parameters
    ----------
    slot
        What it has reserved; None: it holds no capacity yet.
    forked
        Whether the executor was told to start it.
    handed
        Whether the executor has it in a line, to start it by itself.
    cause
        Why we signalled it; None: we did not.
    kill_at
        When it is killed, monotonic seconds.
    killed
        It did not end in time, and was killed.
    limit
        Bytes of memory above which it is killed; 0: none.
    begun
        When it was started, monotonic seconds; only kept where it has limits.
    allowed
        Seconds that it may run, once it is known.
    peak
        Bytes that it was seen to use when it was killed for that, or before it ended.
    since
        When it came here, monotonic seconds.
    shape
        The class of the job; the same object for all that a runner holds of a class.
    """

    given: Assignment
    held: Held
    stdout: str | None
    stderr: str | None
    files: str
    delete_on_success: bool
    slot: Slot | None = None
    forked: bool = False
    handed: bool = False
    cause: Cause | None = None
    kill_at: float | None = None
    killed: bool = False
    limit: int = 0
    begun: float = 0.0
    allowed: float = 0.0
    peak: int = 0
    exit: Exit | None = None
    search: Search | None = None
    since: float = 0.0
    shape: Shape = field(init=False)

    def __post_init__(self) -> None:
        self.shape = self.given.shape

    @property
    def stdio(self) -> bool:
        """Whether its output goes anywhere."""
        return bool(self.stdout or self.stderr)


@record(frozen=True, slots=True, kw_only=True)
class Workplace:
    """What the attempts of a runner have in common; makes attempts of what was given, and tasks of attempts.

    Parameters
    ----------
    stdio_dir
        Absolute, without a slash at the end.
    mark
        `<server_id>.<workflow>`, with which every mark begins.
    counted, hidden, amd
        Of the devices: see `environment.devices`.
    job_url
        What an attempt gets as `TORC_API_URL`.
    """

    execution: Execution
    base: Mapping[str, str]
    cwd: str
    stdio_dir: str
    mark: str
    counted: bool
    hidden: bool
    amd: bool
    job_url: Callable[[Assignment], str | None] | None = None

    def attempt(self, given: Assignment) -> Attempt:
        """Take what the store has given."""
        job, execution = given.job, self.execution
        stdio = execution.overrides.get(job.name, execution.stdio)
        files = f"{self.stdio_dir}/job_wf{job.workflow_id}_j{job.id}_r{job.run_id}_a{job.attempt_id}"  # §5.3: ids only
        out, err = stdio.paths(files)
        held = Held(job=job.id, attempt_id=job.attempt_id, lease=job.lease or "")
        limit = given.shape.memory if given.stated and execution.limit_resources else 0
        return Attempt(given, held, out, err, files, stdio.delete_on_success, limit=limit)

    def recovery(self, given: Assignment, order: Recovery, number: JobId) -> Task:
        """The recovery script of an attempt, as the executor has to start it under this number."""
        attempt = self.attempt(given)
        path = f"{attempt.files}.recovery.log"
        mark = f"{self.mark}.{order.job}.{given.job.run_id}.{order.attempt_id}.r"
        seen = environment.devices((), counted=self.counted, hidden=self.hidden, amd=self.amd)
        env = environment.own(given, mark, seen, self.base, self._api_url(given))
        env |= {"TORC_RETURN_CODE": str(order.return_code)}
        return Task(
            job=number,
            attempt_id=order.attempt_id,
            command=order.script,
            script=None,
            base=self.base,
            env=env,
            cwd=self.cwd,
            stdout=path,
            stderr=path,
            files=f"{attempt.files}.recovery",
            mark=mark,
            daemons=self.execution.allow_daemons,
        )

    def task(self, attempt: Attempt, gpus: Sequence[str], line: int) -> Task:
        """What the executor has to start; `gpus` are the device ids that it gets."""
        job = attempt.given.job
        mark = f"{self.mark}.{job.id}.{job.run_id}.{job.attempt_id}"
        counted = self.counted and attempt.shape.nodes == 1
        seen = environment.devices(gpus, counted=counted, hidden=self.hidden, amd=self.amd)
        return Task(
            job=job.id,
            attempt_id=job.attempt_id,
            command=job.command,
            script=job.invocation_script,
            base=self.base,
            env=environment.own(attempt.given, mark, seen, self.base, self._api_url(attempt.given)),
            cwd=self.cwd,
            stdout=attempt.stdout,
            stderr=attempt.stderr,
            files=attempt.files,
            mark=mark,
            daemons=self.execution.allow_daemons,
            line=line,
            memory=attempt.limit,
            lease=attempt.held.lease,
            nodes=attempt.slot.nodes if attempt.slot else (),
            shape=attempt.shape,
        )

    def _api_url(self, given: Assignment) -> str | None:
        return None if self.job_url is None else self.job_url(given)
