"""`torc exec`: one line in, results out."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from torc_cli.execute.options import Each, Measuring, Printing, Running, Source
from torc_core.given import Answer, Given
from torc_terminal.options import Flag
from torc_terminal.output.answer import refuse_csv


def exec_(
    *words: str,
    source: Source | None = None,
    max_parallel_jobs: Annotated[
        str | None, Parameter(name=["--max-parallel-jobs", "-j"], allow_leading_hyphen=True)
    ] = None,
    each: Each | None = None,
    printing: Printing | None = None,
    results: str | None = None,
    running: Running | None = None,
    measuring: Measuring | None = None,
    resume: Flag = False,
    resume_failed: Flag = False,
    retry_failed: Flag = False,
    new: Flag = False,
    name: Annotated[str | None, Parameter(name=["--name", "-n"])] = None,
    description: str | None = None,
    dry_run: Flag = False,
    session: Given,
) -> Answer:
    """Run single commands: a list of them, or one for each of some values.

    torc exec 'gzip -9 {}' ::: *.txt

    torc exec -C commands.txt -j 8

    torc exec -- make test

    Parameters
    ----------
    words
        A command with {} for the values that follow ':::' ('::::': files of values), or '-- PROGRAM ARGUMENTS'.
    max_parallel_jobs
        At most so many at once: 8, 50%, +2, -1 (relative to the CPUs), 0 for no cap; normally one for each CPU.
    results
        Folder for the output of each command: DIR/NUMBER/stdout, after ':::' DIR/1/VALUE/stdout.
    resume
        Leave out the commands that the job log has.
    resume_failed
        Leave out the commands that the job log has as successful.
    retry_failed
        Run the failed commands of the job log again; no commands are given then.
    new
        Do not go on with what an earlier run of the same file left unfinished.
    name
        Name of the workflow.
    description
        Description of the workflow.
    dry_run
        Print the commands, and run nothing.
    """
    from torc_cli.execute.lists import Choice, run_list

    refuse_csv(session)
    choice = Choice(
        words=words,
        source=source or Source(),
        each=each or Each(),
        printing=printing or Printing(),
        running=running or Running(),
        measuring=measuring or Measuring(),
        jobs=max_parallel_jobs,
        results=results,
        resume=resume,
        resume_failed=resume_failed,
        retry_failed=retry_failed,
        new=new,
        name=name,
        description=description,
    )
    return run_list(session, choice, dry_run=dry_run)
