"""`torc create`: from a specification to a workflow in the store."""

from __future__ import annotations

from torc_core.given import Given
from torc_terminal.creating import Creating
from torc_terminal.options import Flag
from torc_terminal.output.answer import Outcome, Report, refuse_csv
from torc_terminal.output.cells import plain
from torc_terminal.target import Stdin, named


def create(
    spec: str | None = None,
    /,
    *,
    stdin: Stdin = False,
    creating: Creating | None = None,
    dry_run: Flag = False,
    session: Given,
) -> Outcome | Report:
    """Create a workflow from a specification, and run nothing.

    Parameters
    ----------
    spec
        File with the specification; - is standard input.
    stdin
        Read the specification from standard input.
    dry_run
        Only say what is wrong with it and what it would make.
    """
    # PERF: only what `--help` needs is imported above.
    from torc_terminal.remembered import remember
    from torc_terminal.specs import accepted, dry_text, problems, read
    from torc_terminal.standing import amount
    from torc_terminal.target import there

    refuse_csv(session)
    creating = creating or Creating()
    file = named(spec, stdin, "create")
    found = read(session, file if file == "-" else there(file), creating)
    if dry_run:
        return Report(
            schema="torc.create.check/1",
            data=problems(found),
            text=dry_text(found),
            exit_code=2 if found.errors else 0,
        )
    plan = accepted(session, found)
    workflow = session.store().create(plan, session.user())
    remember(session.config.environ, [(workflow.id, workflow.name)])
    return Outcome(
        message=(
            f"Created workflow {workflow.id} '{plain(workflow.name)}' "
            f"({amount(len(plan.jobs), 'job')}, {amount(len(plan.files), 'file')})"
        ),
        workflow_id=workflow.id,
        extra={
            "workflow_name": workflow.name,
            "job_count": len(plan.jobs),
            "file_count": len(plan.files),
            "user_data_count": len(plan.user_data),
        },
        hint=f"run it: torc run {workflow.id}",
    )
