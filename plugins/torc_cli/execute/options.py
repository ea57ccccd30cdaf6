"""Options of `torc run` and `torc exec`, in groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from torc_core.errors import UsageError
from torc_core.record import record
from torc_core.session import Session
from torc_terminal.options import Flag

if TYPE_CHECKING:
    from torc_cli.execute.capacity import Asked
    from torc_cli.execute.lasting import Times
    from torc_core.model import Json


@Parameter(name="*")
@record(frozen=True, slots=True, kw_only=True)
class Running:
    """How jobs are run here, and what is told of them.

    Parameters
    ----------
    num_cpus
        CPUs to offer; normally those of this host.
    memory_gb
        Memory to offer, in GiB; normally that of this host.
    num_gpus
        GPUs to offer; normally those of this host.
    output_dir
        Where the output of jobs goes; normally torc_output.
    joblog
        File with a line for each ended job.
    halt
        When to stop early: now or soon, fail or success or done, a number or a percentage; `now,fail=1`.
    progress
        How progress is shown; normally a bar on a terminal, a line every half minute elsewhere.
    exit_zero
        Leave with 0 although jobs failed.
    """

    num_cpus: int | None = None
    memory_gb: float | None = None
    num_gpus: int | None = None
    output_dir: Annotated[str | None, Parameter(name=["--output-dir", "-o"])] = None
    joblog: str | None = None
    halt: str = "never"
    progress: Literal["bar", "lines", "none"] | None = None
    exit_zero: Flag = False

    def asked(self, session: Session) -> Asked:
        """The capacity that options, or else the configuration, state."""
        from torc_cli.execute.capacity import Asked

        run = session.config.client.run
        return Asked(
            cpus=run.num_cpus if self.num_cpus is None else self.num_cpus,
            memory_gb=run.memory_gb if self.memory_gb is None else self.memory_gb,
            gpus=run.num_gpus if self.num_gpus is None else self.num_gpus,
        )

    def folder(self, session: Session) -> str:
        """The output directory."""
        return self.output_dir or session.config.client.run.output_dir

    def prove(self, session: Session) -> None:
        """Refuse what cannot be, before anything is stored.

        Raises
        ------
        UsageError
            If capacity is out of range, or files cannot be written where they should.
        """
        # PERF: options are declared for `--help` too, which must not wait for what only a run needs.
        from torc_cli.execute.capacity import check
        from torc_cli.execute.places import folder, log_file

        check(self.asked(session))
        folder(self.folder(session), "--output-dir")
        if self.joblog is not None:
            log_file(self.joblog)


@Parameter(name="*")
@record(frozen=True, slots=True, kw_only=True)
class Lasting:
    """How long a run lasts, and how it begins.

    Parameters
    ----------
    time_limit
        Leave after so long, such as 1h30m: in time nothing is begun that does not fit, then jobs are ended.
    end_time
        Leave at this time, such as 2026-05-01T18:00:00Z.
    poll_interval
        Longest pause between two looks at a server that does not answer when there is news, in seconds.
    startup_delay_seconds
        Begin within so many seconds, each runner at a moment of its own.
    wait_for_server
        Minutes to wait for a server that cannot be reached at first.
    """

    time_limit: str | None = None
    end_time: str | None = None
    poll_interval: Annotated[float | None, Parameter(name=["--poll-interval", "-p"])] = None
    startup_delay_seconds: float = 0.0
    wait_for_server: float = 20.0

    def times(self, session: Session) -> Times:
        """What was given, checked.

        Raises
        ------
        UsageError
            If a value is out of range.
        """
        from torc_cli.execute.lasting import times_of

        return times_of(
            session,
            time_limit=self.time_limit,
            end_time=self.end_time,
            poll_interval=self.poll_interval,
            startup_delay_seconds=self.startup_delay_seconds,
            wait_for_server=self.wait_for_server,
        )


@Parameter(name="*", show=False)
@record(frozen=True, slots=True, kw_only=True)
class Worker:
    """What a worker that was started over SSH is told besides (`remote.md` RW13); not for people.

    Parameters
    ----------
    remote_worker
        Its address, as the store has it.
    node_file
        Where it writes down as which node it was registered.
    idle_exit
        Leave after so many seconds without work; 0: never.
    """

    remote_worker: str | None = None
    node_file: str | None = None
    idle_exit: float | None = None


@Parameter(name="*")
@record(frozen=True, slots=True, kw_only=True)
class Printing:
    """What is printed of what jobs write.

    Parameters
    ----------
    keep_order
        Print output in the order of the commands.
    tag
        Put the arguments of the command before each line.
    group
        Print the output of each command as a whole, when it has ended.
    ungroup
        Print output as it comes, whosever it is.
    line_buffer
        Print output as it comes, by whole lines.
    no_output
        Print no output.
    """

    keep_order: Annotated[Flag, Parameter(name=["--keep-order", "-k"])] = False
    tag: Flag = False
    group: Flag = False
    ungroup: Flag = False
    line_buffer: Flag = False
    no_output: Flag = False


@Parameter(name="*")
@record(frozen=True, slots=True, kw_only=True)
class Source:
    """Where commands come from, besides the words of the command line.

    Parameters
    ----------
    command
        A shell command; may be repeated.
    commands_file
        File with one shell command on each line; - is standard input.
    param
        NAME=VALUE for {name} in the commands: a range, a list, a value or @file; may be repeated.
    link
        How several parameters are combined.
    colsep
        Regular expression that cuts the values after ::: into columns {1}, {2}.
    """

    command: Annotated[
        list[str] | None, Parameter(name=["--command", "-c"], negative="", allow_leading_hyphen=True)
    ] = None
    commands_file: Annotated[
        str | None, Parameter(name=["--commands-file", "-C"], allow_leading_hyphen=True)
    ] = None
    param: Annotated[list[str] | None, Parameter(negative="")] = None
    link: Literal["product", "zip"] = "product"
    colsep: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None


@Parameter(name="*")
@record(frozen=True, slots=True, kw_only=True)
class Each:
    """What each command needs.

    Parameters
    ----------
    cpus
        CPUs of each command; commands are then packed by what they need.
    memory
        Memory of each command, such as 2g.
    gpus
        GPUs of each command.
    runtime
        How long each command may take, such as 30m; it counts as an estimate for packing, and is a limit.
    timeout
        How long each command may take: 30m, or 300% of the median of those that have ended well.
    retries
        So many more times a command that failed is tried.
    stdio
        Which files the output of each command goes to.
    """

    cpus: int | None = None
    memory: str | None = None
    gpus: int | None = None
    runtime: str | None = None
    timeout: str | None = None
    retries: int = 0
    stdio: Literal["separate", "combined", "no-stdout", "no-stderr", "none"] | None = None


Measure = Literal["off", "summary", "time-series"]


@Parameter(name="*")
@record(frozen=True, slots=True, kw_only=True)
class Measuring:
    """What is measured while commands run.

    Parameters
    ----------
    monitor
        Of each command: nothing, peak and average with its result, or also a file of samples.
    monitor_compute_node
        Of this host: nothing, peak and average of the run, or also a file of samples.
    sample_interval_seconds
        Seconds between two samples.
    generate_plots
        Draw the samples at the end.
    """

    monitor: Measure = "summary"
    monitor_compute_node: Measure = "off"
    sample_interval_seconds: Annotated[int, Parameter(name=["--sample-interval-seconds", "-i"])] = 10
    generate_plots: Flag = False

    def config(self) -> Mapping[str, Json] | None:
        """The `resource_monitor` of the workflow; None: nothing is measured.

        Raises
        ------
        UsageError
            If a value is out of range, or there would be nothing to draw.
        """
        if not 1 <= self.sample_interval_seconds <= 86_400:
            raise UsageError(
                f"--sample-interval-seconds '{self.sample_interval_seconds}' is out of range; give 1 to 86400"
            )
        scopes = {"jobs": self.monitor, "compute_node": self.monitor_compute_node}
        if self.generate_plots and "time-series" not in scopes.values():
            raise UsageError("--generate-plots needs samples to draw; add --monitor time-series")
        if set(scopes.values()) == {"off"}:
            return None
        config: dict[str, Json] = {
            name: {"enabled": True, "granularity": scope.replace("-", "_")}
            for name, scope in scopes.items()
            if scope != "off"
        }
        config["sample_interval_seconds"] = self.sample_interval_seconds
        return config | {"generate_plots": True} if self.generate_plots else config
