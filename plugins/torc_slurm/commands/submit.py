"""`torc submit`: ask Slurm for the nodes of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from torc_core.errors import Conflict, UsageError
from torc_core.given import Answer, Given
from torc_slurm.commands.planner_options import PlannerOptions
from torc_terminal.creating import Creating
from torc_terminal.options import Flag, Yes
from torc_terminal.target import Kind, Stdin, named, target_of

if TYPE_CHECKING:
    from torc_core.model import Plan
    from torc_core.session import Session


def submit(
    what: str | None = None,
    /,
    *,
    stdin: Stdin = False,
    ignore_missing_data: Annotated[Flag, Parameter(name=["--ignore-missing-data", "-i"])] = False,
    max_parallel_jobs: int | None = None,
    poll_interval: Annotated[int | None, Parameter(name=["--poll-interval", "-p"])] = None,
    output_dir: Annotated[str | None, Parameter(name=["--output-dir", "-o"])] = None,
    keep_submission_scripts: Flag = False,
    creating: Creating | None = None,
    generate: Flag = False,
    options: PlannerOptions | None = None,
    wait: Flag = False,
    timeout: str | None = None,
    dry_run: Flag = False,
    yes: Yes = False,
    session: Given,
) -> Answer:
    """Initialise a workflow if that is needed, and ask Slurm for all nodes that are due.

    torc submit pipeline.yaml

    torc submit 42

    What was asked for already is not asked for again; what is missing is added.

    Parameters
    ----------
    what
        Specification, id of a workflow, `last`, or - for a specification on standard input.
    stdin
        Read the specification from standard input.
    ignore_missing_data
        Go on although input files or user data are missing.
    max_parallel_jobs
        Each runner runs at most so many jobs at once, whatever they need.
    poll_interval
        Longest pause of a runner between two contacts with the store, in seconds.
    output_dir
        Where output and logs go; the same for allocations that are asked for later.
    keep_submission_scripts
        Keep the scripts that sbatch was given.
    generate
        Plan the allocations first, for a specification that has no schedulers.
    wait
        Come back when the workflow is complete.
    timeout
        Wait no longer than that: 30m, 1h30m, PT2H.
    dry_run
        Say what would be asked for, with the scripts, and change nothing.
    yes
        Do not ask.
    """
    # PERF: only what `--help` needs is imported above.
    from torc_slurm.commands.submitting import submission
    from torc_slurm.submission.starting import refuse_no_slurm
    from torc_terminal.durations import seconds_of
    from torc_terminal.output.answer import refuse_csv
    from torc_terminal.specs import looks_like_spec

    if not wait:
        refuse_csv(session)
    if max_parallel_jobs is not None and not 1 <= max_parallel_jobs <= 1_000_000:
        raise UsageError(
            f"--max-parallel-jobs '{max_parallel_jobs}' is out of range; give a number of at least 1"
        )
    if poll_interval is not None and not 1 <= poll_interval <= 86_400:
        raise UsageError(f"-p '{poll_interval}' is out of range; give seconds, from 1 to 86400")
    if timeout is not None and not wait:
        raise UsageError("--timeout belongs to --wait")
    limit = None if timeout is None else seconds_of(timeout, "--timeout")
    target = target_of(
        named(what, stdin, "submit"), lists=False, is_spec=lambda path: looks_like_spec(session, path)
    )
    if not dry_run:
        refuse_no_slurm(session, target.text)
    creating = creating or Creating()
    if target.kind is Kind.WORKFLOW:
        creating.refuse_for(target.text)
    if not generate and options is not None and options != PlannerOptions():
        raise UsageError("options of the planner belong to --generate; add it, or leave them out")
    if generate and target.kind is not Kind.SPEC:
        raise UsageError(
            f"--generate is for specifications; plan a workflow anew with 'torc slurm regenerate {target.text} --submit'"
        )
    plan = None
    if target.kind is Kind.SPEC:
        plan = planned(session, target.text, creating, (options or PlannerOptions()) if generate else None)
    done = submission(
        session,
        target.text,
        plan,
        output_dir=output_dir or session.config.client.run.output_dir,
        poll_interval=poll_interval or session.config.client.slurm.poll_interval,
        max_parallel_jobs=max_parallel_jobs,
        keep_scripts=keep_submission_scripts or session.config.client.slurm.keep_submission_scripts,
        ignore_missing_data=ignore_missing_data,
        dry_run=dry_run,
    )
    if not wait or dry_run or done.exit_code:
        return done
    from torc_slurm.commands.waiting import waited

    number = done.data["workflow_id"]
    assert isinstance(number, int)
    session.note(done.text if isinstance(done.text, str) else "")
    return waited(session, number, limit)


def planned(session: Session, file: str, creating: Creating, generate: PlannerOptions | None = None) -> Plan:
    """The plan of a specification that asks for nodes; `generate`: they are planned first.

    Raises
    ------
    Conflict
        If it does not.
    """
    from torc_slurm.submission.starting import asks_for_nodes, refuse_no_action
    from torc_terminal.specs import accepted, read

    if generate is not None:
        from torc_slurm.generating import generated

        found = generated(session, file, creating, generate).found
    else:
        found = read(session, file, creating)
    plan = accepted(session, found)
    if not asks_for_nodes(plan):
        raise refuse_no_action(file)
    if not plan.jobs:
        raise Conflict(f"'{file}' has no jobs; there is nothing to submit")
    return plan
