"""`torc run`: a workflow, a specification or a list of commands, on this machine."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from torc_cli.execute.options import Lasting, Printing, Running, Source, Worker
from torc_core.errors import UsageError
from torc_core.given import Answer, Given
from torc_core.session import Session
from torc_terminal.creating import Creating
from torc_terminal.options import Flag
from torc_terminal.output.answer import refuse_csv
from torc_terminal.target import Kind, Stdin, Target, named, target_of


def run(
    what: str | None = None,
    /,
    *,
    stdin: Stdin = False,
    max_parallel_jobs: Annotated[int | None, Parameter(name=["--max-parallel-jobs", "-j"])] = None,
    running: Running | None = None,
    lasting: Lasting | None = None,
    label: str | None = None,
    persistent: Flag = False,
    new: Flag = False,
    no_resume: Flag = False,
    retry_failed: Flag = False,
    keep_order: Annotated[Flag, Parameter(name=["--keep-order", "-k"])] = False,
    tag: Flag = False,
    creating: Creating | None = None,
    spec: Flag = False,
    commands: Flag = False,
    dry_run: Flag = False,
    worker: Worker | None = None,
    session: Given,
) -> Answer:
    """Run a workflow until it is complete.

    torc run pipeline.yaml

    torc run 42

    torc run commands.txt -j 8

    The same command goes on with what an earlier run that was interrupted or killed left unfinished.

    Parameters
    ----------
    what
        Specification, id of a workflow, `last`, list of commands, or - for a specification on standard input.
    stdin
        Read the specification, or with --commands the list, from standard input.
    max_parallel_jobs
        At most so many jobs at once, whatever they need; 0: as many as fit.
    label
        Take only jobs with exactly this label; normally only those without one.
    persistent
        Stay while jobs of the label are unfinished, though none can be taken.
    new
        Make a new workflow of the specification, though an earlier one is unfinished.
    no_resume
        Leave alone what an earlier run left running or interrupted.
    retry_failed
        First reset jobs that failed, were terminated or canceled, and all that waits for them.
    keep_order
        Print the output of jobs, in their order.
    tag
        Print the output of jobs, the name of the job before each line.
    spec
        The argument is a specification, whatever it is called.
    commands
        The argument is a list of commands, whatever it is called.
    dry_run
        Say what would run and whether it fits this host, and change nothing.
    """
    refuse_csv(session)
    running, creating = running or Running(), creating or Creating()
    if max_parallel_jobs is not None and not 0 <= max_parallel_jobs <= 1_000_000:
        raise UsageError(f"-j '{max_parallel_jobs}' is out of range; give a number of jobs, or 0 for no cap")
    times = (lasting or Lasting()).times(session)
    what = named(what, stdin, "run")
    target = resolved(session, what, spec=spec, commands=commands)
    printing = Printing(keep_order=keep_order, tag=tag)
    if target.kind is Kind.COMMANDS:
        from torc_cli.execute.lists import Choice, run_list

        if creating != Creating(name=creating.name, description=creating.description):
            raise UsageError(
                f"'{what}' is a list of commands; options about specifications do not apply to it"
            )
        if retry_failed:
            raise UsageError("for a list of commands use: torc exec -C FILE --joblog LOG --resume-failed")
        return run_list(
            session,
            Choice(
                source=Source(commands_file=target.text),
                printing=printing,
                running=running,
                times=times,
                jobs=None if max_parallel_jobs is None else str(max_parallel_jobs),
                new=new,
                name=creating.name,
                description=creating.description,
            ),
            dry_run=dry_run,
        )
    if target.kind is Kind.WORKFLOW:
        creating.refuse_for(what)
        if new:
            raise UsageError(
                f"--new makes another workflow of a specification; '{what}' is a workflow already"
            )
    from torc_cli.execute.workflows import Start, dry, go

    start = Start(
        target=target,
        creating=creating,
        running=running,
        times=times,
        printing=printing,
        slots=configured(session, max_parallel_jobs),
        label=label,
        persistent=persistent,
        new=new,
        resume=not no_resume,
        retry_failed=retry_failed,
        worker=worker or Worker(),
    )
    return dry(session, start) if dry_run else go(session, start)


def resolved(session: Session, what: str, *, spec: bool, commands: bool) -> Target:
    """What the argument means."""
    from torc_terminal.specs import looks_like_spec

    return target_of(what, spec=spec, commands=commands, is_spec=lambda path: looks_like_spec(session, path))


def configured(session: Session, slots: int | None) -> int:
    """The cap that was given, or else configured; 0: none."""
    return (session.config.client.run.max_parallel_jobs or 0) if slots is None else slots
