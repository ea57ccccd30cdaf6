"""`torc remote run`: a worker on every machine of a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import UsageError
from torc_core.given import Given
from torc_core.model import Json
from torc_core.record import record
from torc_core.session import Answer
from torc_ssh.commands.addressing import Tunnel
from torc_ssh.commands.hosts import Reach
from torc_terminal.options import Flag, Texts, Yes


@Parameter(name="*")
@record(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How each worker runs.

    Parameters
    ----------
    output_dir
        Output directory on the machines, absolute or below the home there; normally torc_output.
    poll_interval
        How often workers look for jobs at least, in seconds; normally 5.
    max_parallel_jobs
        At most so many jobs at once on each machine, whatever they need.
    num_cpus
        CPUs of each machine; normally what it has.
    memory_gb
        Memory of each machine, in GiB; normally what it has.
    num_gpus
        GPUs of each machine; normally what it has.
    time_limit
        Workers leave after so long, such as 8h.
    label
        Workers take only jobs with this label; that of a machine goes before.
    idle_exit
        Workers leave after so many seconds without work; normally when the workflow is complete or canceled.
    env
        NAME=VALUE in the environment of workers and their jobs; may be repeated.
    setup
        One line for bash before the worker, such as 'module load python'.
    chdir
        Directory in which workers and jobs run; normally the home.
    """

    output_dir: Annotated[str | None, Parameter(name=["--output-dir", "-o"])] = None
    poll_interval: Annotated[float | None, Parameter(name=["--poll-interval", "-p"])] = None
    max_parallel_jobs: int | None = None
    num_cpus: int | None = None
    memory_gb: float | None = None
    num_gpus: int | None = None
    time_limit: str | None = None
    label: str | None = None
    idle_exit: float | None = None
    env: Texts = ()
    setup: str | None = None
    chdir: str | None = None

    def told(self) -> dict[str, Json]:
        """What the agent is told of it.

        Raises
        ------
        UsageError
            If a value is out of range.
        """
        from torc_terminal.durations import seconds_of

        for option, value, least, most in (
            ("--poll-interval", self.poll_interval, 0.05, 86_400),
            ("--max-parallel-jobs", self.max_parallel_jobs, 0, 1_000_000),
            ("--num-cpus", self.num_cpus, 1, 1_000_000),
            ("--memory-gb", self.memory_gb, 0.001, 8_000_000),
            ("--num-gpus", self.num_gpus, 0, 10_000),
            ("--idle-exit", self.idle_exit, 0, 31_536_000),
        ):
            if value is not None and not least <= value <= most:
                raise UsageError(f"{option} '{value:g}' is out of range; give {least:g} to {most:.12g}")
        if self.time_limit is not None:
            seconds_of(self.time_limit, "--time-limit")
        for option, text in (
            ("--output-dir", self.output_dir),
            ("--setup", self.setup),
            ("--chdir", self.chdir),
        ):
            if text is not None and (not text.strip() or "\0" in text or "\n" in text):
                raise UsageError(f"{option} '{text}' is not one line of text")
        found: dict[str, Json] = {
            "poll_interval": self.poll_interval, "max_parallel_jobs": self.max_parallel_jobs, "num_cpus": self.num_cpus,
            "memory_gb": self.memory_gb, "num_gpus": self.num_gpus, "time_limit": self.time_limit, "label": self.label,
            "idle_exit": self.idle_exit, "env": dict(self.variables()), "setup": self.setup, "chdir": self.chdir,
        }  # fmt: skip
        return {name: value for name, value in found.items() if value not in (None, {})}

    def variables(self) -> Mapping[str, str]:
        """The environment that is wished for.

        Raises
        ------
        UsageError
            If one is not NAME=VALUE.
        """
        found = {}
        for text in self.env:
            name, equals, value = text.partition("=")
            if not equals or not name.isidentifier() or not name.isascii():
                raise UsageError(f"--env '{text}' is not NAME=VALUE")
            found[name] = value
        return found


@record(frozen=True, slots=True, kw_only=True)
class Wish:
    """Everything that was said on the command line."""

    workers: str | None = None
    worker: WorkerOptions = WorkerOptions()
    reach: Reach = Reach()
    exclude: str | None = None
    worker_url: str | None = None
    reverse_tunnel: Tunnel = "auto"
    skip_version_check: bool = False
    best_effort: bool = False
    connect_timeout: float | None = None
    wait_registered: bool = False
    dry_run: bool = False


def run(
    workflow: str | None = None,
    /,
    *,
    workers: Annotated[str | None, Parameter(name=["--workers", "-w"])] = None,
    worker: WorkerOptions | None = None,
    reach: Reach | None = None,
    exclude: str | None = None,
    worker_url: str | None = None,
    reverse_tunnel: Tunnel | None = None,
    skip_version_check: Flag = False,
    best_effort: Flag = False,
    connect_timeout: float | None = None,
    wait_registered: Flag = False,
    wait: Flag = False,
    timeout: str | None = None,
    dry_run: Flag = False,
    yes: Yes = False,
    session: Given,
) -> Answer:
    """Start a worker on every machine of a workflow; they go on without this command, and leave when it is complete.

    torc remote run 42

    torc remote run 42 --workers workers.txt --output-dir /data/torc_output --poll-interval 10

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    workers
        File with machines to add first; - is standard input.
    exclude
        All but these machines, with commas.
    worker_url
        Address of the server as the machines see it; normally that of this command.
    reverse_tunnel
        Lead machines to the server through their SSH connection: auto (where they do not reach it), always, never.
    skip_version_check
        Start workers of other versions too (not recommended).
    best_effort
        Go on with the machines that can be reached and are fit; normally it is all or none.
    connect_timeout
        Seconds to connect to a machine; normally 30.
    wait_registered
        Count a worker that the server does not know after 30 seconds as failed.
    wait
        Follow the workflow, and leave with its outcome.
    timeout
        With --wait: leave after so long, with 124.
    dry_run
        Check everything and start nothing.
    yes
        Nothing is asked here; for scripts that give it everywhere.
    """
    from torc_ssh.commands import launching
    from torc_terminal.output.answer import refuse_csv

    refuse_csv(session)
    if connect_timeout is not None and not 0 < connect_timeout <= 3_600:
        raise UsageError(f"--connect-timeout '{connect_timeout:g}' is out of range; give seconds up to 3600")
    if timeout is not None and not wait:
        raise UsageError("--timeout says how long to follow the workflow; add --wait")
    if timeout is not None:
        from torc_terminal.durations import seconds_of

        seconds_of(timeout, "--timeout")
    wish = Wish(
        workers=workers,
        worker=worker or WorkerOptions(),
        reach=reach or Reach(),
        exclude=exclude,
        worker_url=worker_url or session.config.client.remote.worker_url,
        reverse_tunnel=reverse_tunnel or session.config.client.remote.reverse_tunnel,
        skip_version_check=skip_version_check,
        best_effort=best_effort,
        connect_timeout=connect_timeout,
        wait_registered=wait_registered,
        dry_run=dry_run,
    )
    report = launching.launch(session, workflow, wish)
    if not wait or dry_run or report.exit_code not in (0, 3):
        return report
    from torc_ssh.commands.following import followed

    return followed(session, report, timeout)
