"""From the words of `torc exec` to commands, and from commands to a workflow that runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime

from torc_cli.execute.commands import parse_list, read_list
from torc_cli.execute.halt import parse_halt
from torc_cli.execute.inputs import Made, make, split
from torc_cli.execute.joblog import read_joblog
from torc_cli.execute.lasting import Times
from torc_cli.execute.listing import Needs, number_of, numbered, plan_of
from torc_cli.execute.options import Each, Measuring, Printing, Running, Source
from torc_cli.execute.parallel import parse_jobs
from torc_cli.execute.places import folder
from torc_cli.execute.printing import Style, results_place
from torc_cli.execute.resuming import digest, unfinished
from torc_core.errors import UsageError
from torc_core.model import Job, JobStatus, Json
from torc_core.record import record
from torc_core.session import Answer as AnyAnswer
from torc_core.session import Session
from torc_terminal.output.answer import Report as Answer
from torc_terminal.output.answer import Text
from torc_terminal.target import SPEC_SUFFIXES


@record(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the user said on the command line of `torc exec`, or of `torc run tasks.txt`."""

    words: Sequence[str] = ()
    source: Source = field(default_factory=Source)
    each: Each = field(default_factory=Each)
    printing: Printing = field(default_factory=Printing)
    running: Running = field(default_factory=Running)
    measuring: Measuring = field(default_factory=Measuring)
    times: Times = field(default_factory=Times)
    jobs: str | None = None
    results: str | None = None
    resume: bool = False
    resume_failed: bool = False
    retry_failed: bool = False
    new: bool = False
    name: str | None = None
    description: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Commands:
    """Commands by their numbers, and what is known of where they come from.

    Parameters
    ----------
    printed
        Whether their output is printed without being asked for (E1).
    path, content
        Real path of the file they were read from and its digest; None: the same line cannot make them again.
    """

    made: Mapping[int, Made]
    printed: bool = False
    path: str | None = None
    content: str | None = None


def run_list(session: Session, choice: Choice, *, dry_run: bool = False) -> AnyAnswer:
    """Run the commands that were chosen, or print them.

    Raises
    ------
    UsageError
        If there are none, or options do not go together.
    """
    halt = parse_halt(choice.running.halt)
    parse_jobs(choice.jobs or "1", 1)
    commands = pending(choice, commands_of(choice))
    if dry_run:
        return expanded(commands)
    if not commands.made:
        return nothing(session, choice)
    needs = Needs(
        cpus=choice.each.cpus,
        memory=choice.each.memory,
        gpus=choice.each.gpus,
        runtime=choice.each.runtime,
        timeout=choice.each.timeout,
    )
    plan = plan_of(
        commands.made,
        name=choice.name or stamped(session),
        description=choice.description,
        needs=needs,
        retries=choice.each.retries,
        stdio=choice.each.stdio,
        monitor=choice.measuring.config(),
        source_path=commands.path,
        source_digest=commands.content,
    )
    style = style_of(choice.printing, printed=commands.printed and session.format != "json")
    choice.running.prove(session)
    if choice.results is not None:
        folder(choice.results, "--results")
    # PERF: the store and the runner are loaded only when it is known that there is something to run.
    from torc_cli.execute.execution import Wish, execute

    running, total = choice.running, len(commands.made)
    # Kept only where they are asked for: a list may have a million commands.
    made = commands.made if choice.printing.tag or choice.results is not None else {}

    def tag(job: Job) -> str:
        one = made.get(number_of(job))
        return " ".join(one.values) or one.command if one else job.command

    def place(job: Job) -> str:
        one = made.get(number_of(job))
        return results_place(one.values if one else (), number_of(job))

    choice.times.begin(session)
    with session.owning() as store:
        earlier = None
        if commands.path and commands.content and not choice.new:
            earlier = unfinished(store, session.user(), commands.path, commands.content)
        if earlier is not None:
            session.note(f"continuing workflow {earlier.id}; --new starts another")
        again = earlier is not None or choice.resume or choice.resume_failed or choice.retry_failed
        wish = Wish(
            asked=running.asked(session),
            slots=lambda cpus: slots(choice.jobs, needs, cpus, total),
            slots_given=choice.jobs is not None,
            output_dir=running.folder(session),
            times=choice.times,
            patience=needs.patience,
            joblog=(running.joblog, again) if running.joblog else None,
            halt=halt,
            style=style,
            results=choice.results,
            progress=running.progress,
            exit_zero=running.exit_zero,
            seq=number_of,
            tag=tag,
            place=place,
        )
        workflow = earlier or store.create(plan, session.user())
        return execute(session, store, workflow.id, wish)


def nothing(session: Session, choice: Choice) -> AnyAnswer:
    """The answer where every command was left out, or the list is empty."""
    session.note("nothing to run")
    data: dict[str, Json] = {
        "workflow_id": None,
        "workflow_name": "",
        "run_id": 0,
        "jobs_by_status": {status.label: 0 for status in JobStatus},
        "is_complete": True,
        "wall_seconds": 0.0,
        "output_dir": os.path.abspath(choice.running.folder(session)),
        "failed_jobs": [],
    }
    return Answer(schema="torc.run/1", data=data)


def commands_of(choice: Choice) -> Commands:
    """The commands that the words and options give, before any are left out.

    Raises
    ------
    UsageError
        If there are none, or several ways to give them were mixed.
    """
    source = choice.source
    words, inputs = split(choice.words)
    ways = [
        way for way, given in (
            ("a command", bool(words) or inputs is not None), ("-c", bool(source.command)),
            ("-C", source.commands_file is not None),
        ) if given
    ]  # fmt: skip
    if choice.retry_failed:
        if ways:
            raise UsageError(f"--retry-failed takes its commands from the job log; leave out {ways[0]}")
        return Commands(made={})
    if not ways:
        raise UsageError(
            "no command given; write e.g. torc exec -c 'make test', torc exec -C commands.txt or "
            "torc exec 'gzip {}' ::: a b"
        )
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways)} exclude each other; give commands in one way")
    if inputs is None and source.colsep is not None:
        raise UsageError("--colsep cuts the values after ':::', but there are none")
    if inputs is not None:
        if source.param:
            raise UsageError("--param and ':::' exclude each other; give values in one way")
        made = list(make(words, inputs, source.colsep))
        return Commands(made=numbered(made), printed=True)
    path = content = None
    if source.commands_file is not None:
        text, data = read_list(source.commands_file)
        listed = parse_list(text, source.commands_file)
        if source.commands_file != "-":
            path, content = os.path.realpath(source.commands_file), digest(data)
    else:
        listed = list(source.command or ()) or [one_command(words)]
    if source.param:
        from torc_cli.execute.filling import fill, read_parameters

        made = list(fill(listed, read_parameters(source.param), source.link))
        if content is not None:
            # The parameters, too, may come from files that change.
            content = digest(content.encode(), [one.command for one in made])
    else:
        made = [Made(command=command) for command in listed]
    return Commands(made=numbered(made), printed=len(made) == 1, path=path, content=content)


def one_command(words: Sequence[str]) -> str:
    """The command that words without a separator mean: one is shell text, several a program and its arguments.

    Raises
    ------
    UsageError
        If it is the name of a spec (E2).
    """
    import shlex

    if len(words) == 1:
        if words[0].lower().endswith(SPEC_SUFFIXES):
            raise UsageError(
                f"'{words[0]}' is a workflow, not a command; did you mean 'torc run {words[0]}'?"
            )
        return words[0]
    return shlex.join(words)


def pending(choice: Choice, commands: Commands) -> Commands:
    """The commands without those that the job log makes unnecessary.

    Raises
    ------
    UsageError
        If several of the options are given, or there is no job log.
    """
    ways = [
        name
        for name, given in (
            ("--resume", choice.resume),
            ("--resume-failed", choice.resume_failed),
            ("--retry-failed", choice.retry_failed),
        )
        if given
    ]
    if not ways:
        return commands
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways)} exclude each other; give one of them")
    if choice.running.joblog is None:
        raise UsageError(f"{ways[0]} needs to know the job log; add --joblog FILE")
    if choice.retry_failed and not os.path.exists(choice.running.joblog):
        raise UsageError(
            f"there is no job log '{choice.running.joblog}'; --retry-failed takes its commands from one"
        )
    log = read_joblog(choice.running.joblog)
    if choice.retry_failed:
        return Commands(
            made={number: Made(command=e.command) for number, e in sorted(log.items()) if not e.good}
        )
    done = {number for number, entry in log.items() if choice.resume or entry.good}
    left = {number: one for number, one in commands.made.items() if number not in done}
    return Commands(made=left, printed=commands.printed)


def expanded(commands: Commands) -> AnyAnswer:
    """The commands themselves."""
    lines = [one.command for one in commands.made.values()]
    return DryRun(lines)


class DryRun:
    """The answer of `--dry-run`: the command lines as they are, or a JSON document."""

    exit_code = 0

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    def render(self, session: Session) -> None:
        """Print them."""
        if session.format == "json":
            data: dict[str, Json] = {"commands": list(self._lines), "count": len(self._lines)}
            Answer(schema="torc.exec.plan/1", data=data).render(session)
        else:
            Text(text="".join(f"{line}\n" for line in self._lines)).render(session)


def slots(jobs: str | None, needs: Needs, cpus: int, total: int) -> int:
    """How many commands may run at once, resources ignored; 0: packed by what they need.

    Without `-j` one for each CPU, unless it was said what the commands need; `-j 0` is no cap.
    """
    if jobs is None:
        return 0 if needs.given else cpus
    return parse_jobs(jobs, cpus) or max(1, total)


def style_of(printing: Printing, *, printed: bool) -> Style | None:
    """How output is printed; None: not at all (E1).

    Raises
    ------
    UsageError
        If options contradict each other.
    """
    ways = [
        name
        for name, given in (
            ("--group", printing.group),
            ("--ungroup", printing.ungroup),
            ("--line-buffer", printing.line_buffer),
            ("--no-output", printing.no_output),
        )
        if given
    ]
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways)} exclude each other; give one of them")
    if printing.no_output or not (ways or printing.keep_order or printing.tag or printed):
        return None
    live = "raw" if printing.ungroup else "line" if printing.line_buffer else ""
    return Style(keep_order=printing.keep_order, tag=printing.tag, live=live)


def stamped(session: Session) -> str:
    """`exec_<timestamp>`, in local time."""
    return f"exec_{datetime.fromtimestamp(session.clock.now() / 1000, UTC).astimezone():%Y%m%d_%H%M%S}"
