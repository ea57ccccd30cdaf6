"""How one runner works: what its starter decides, and what the workflow's `execution_config` says."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from torc_core.model import Assignment, Json, SchedulerId
from torc_core.protocols import Batch
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Options:
    """What the one who starts a runner decides.

    Parameters
    ----------
    output_dir
        Made absolute and created when the runner starts.
    max_parallel_jobs
        More than 0: queue-depth mode (`runner.md` §4).
    persistent
        Do not leave for idleness while the workflow is unfinished.
    idle
        Leave when there was nothing to do for so many seconds; 0: never for that, nor because nothing can ever run
        here; None: as the workflow says.
    job_url
        What an attempt gets as `TORC_API_URL`; None: it is unset.
    end
        When this runner has to have left, monotonic seconds; None: there is no such time.
    patience
        A job is ended when it has run so many times the median of those that were completed here; None: none is.
    poll_interval
        Longest pause, in seconds, between two looks at a store that cannot hold requests.
    spools
        Results are written to files before they are sent: the store is not of this process.
    beat
        Seconds between two beats.
    fences
        End jobs in any case when the store cannot be reached for the length of the lease.
    ping_interval
        Seconds between two tries to reach the store when the lease has run out.
    batches
        Opens the batch systems of this host, in whose queues the runner does what is due for its workflow.
    deliver
        The command with which the guardian of a dead runner delivers what it left; empty: it does not.
    grace
        Seconds that jobs have to end after SIGTERM when the time left is unknown (`runner.md` §7.2).
    log, series
        Names of the log file and of the file of samples, without its beginning `resource_metrics_` and its suffix;
        empty: by host, workflow and run.
    expects
        Asked before this runner leaves for idleness: whether it had better wait as long again; None: never.
    """

    output_dir: str = "torc_output"
    max_parallel_jobs: int = 0
    label: str | None = None
    scheduler_id: SchedulerId | None = None
    strict_scheduler_match: bool = False
    persistent: bool = False
    idle: float | None = None
    job_url: Callable[[Assignment], str | None] | None = None
    grace: float = 30.0
    end: float | None = None
    patience: float | None = None
    poll_interval: float = 5.0
    spools: bool = False
    beat: float = 30.0
    fences: bool = False
    ping_interval: float = 120.0
    deliver: Sequence[str] = ()
    batches: Callable[[], Sequence[Batch]] | None = None
    log: str = ""
    series: str = ""
    expects: Callable[[], bool] | None = None


@record(frozen=True, slots=True, kw_only=True)
class Stdio:
    """Where standard output and error go (`runner.md` §5.3)."""

    mode: str = "separate"
    delete_on_success: bool = False

    @classmethod
    def of(cls, config: Json, default: Stdio) -> Stdio:
        """Read a `stdio` map; what it does not say is taken from `default`."""
        if not isinstance(config, Mapping):
            return default
        return cls(
            mode=str(config.get("mode", default.mode)),
            delete_on_success=bool(config.get("delete_on_success", default.delete_on_success)),
        )

    def paths(self, base: str) -> tuple[str | None, str | None]:
        """The files for standard output and standard error of an attempt."""
        match self.mode:
            case "combined":
                return f"{base}.log", f"{base}.log"
            case "no_stdout":
                return None, f"{base}.e"
            case "no_stderr":
                return f"{base}.o", None
            case "none":
                return None, None
            case _:
                return f"{base}.o", f"{base}.e"


@record(frozen=True, slots=True, kw_only=True)
class Execution:
    """The part of `execution_config` (`workflow-spec.md` §8) that a runner on this machine obeys; times in seconds."""

    stdio: Stdio = Stdio()
    overrides: Mapping[str, Stdio] = field(default_factory=dict)
    termination_signal: int = signal.SIGTERM
    lead: float = 30.0
    headroom: float = 60.0
    timeout_code: int = 152
    oom_code: int = 137
    allow_daemons: bool = False
    limit_resources: bool = True
    limit_runtime: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Json] | None) -> Execution:
        """Read a validated `execution_config`."""
        known = config or {}
        stdio = Stdio.of(known.get("stdio"), Stdio())
        overrides = known.get("job_stdio_overrides")
        name = str(known.get("termination_signal") or "SIGTERM").upper().removeprefix("SIG")
        return cls(
            stdio=stdio,
            overrides={job: Stdio.of(one, stdio) for job, one in overrides.items()}
            if isinstance(overrides, Mapping)
            else {},
            termination_signal=signal.Signals[f"SIG{name}"],
            lead=_number(known.get("sigterm_lead_seconds"), 30.0),
            headroom=_number(known.get("sigkill_headroom_seconds"), 60.0),
            timeout_code=int(_number(known.get("timeout_exit_code"), 152)),
            oom_code=int(_number(known.get("oom_exit_code"), 137)),
            allow_daemons=bool(known.get("allow_daemons", False)),
            limit_resources=bool(known.get("limit_resources", True)),
            limit_runtime=bool(known.get("limit_runtime", False)),
        )


def _number(value: Json, default: float) -> float:
    return float(value) if isinstance(value, int | float) else default
