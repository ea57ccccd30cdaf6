"""`torc workflows create-slurm`: a workflow with planned allocations, made and not submitted."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from torc_core.given import Given
from torc_slurm.commands.planner_options import PlannerOptions
from torc_terminal.creating import Creating
from torc_terminal.options import Flag
from torc_terminal.output.answer import Outcome, Report, refuse_csv
from torc_terminal.target import Stdin, named, there


def create_slurm(
    spec: str | None = None,
    /,
    *,
    stdin: Stdin = False,
    creating: Creating | None = None,
    options: PlannerOptions | None = None,
    overwrite: Annotated[Flag, Parameter(alias="--force")] = False,
    dry_run: Flag = False,
    session: Given,
) -> Outcome | Report:
    """Plan the allocations of a specification, create the workflow, and submit nothing.

    Parameters
    ----------
    spec
        File with the specification; - is standard input.
    stdin
        Read the specification from standard input.
    overwrite
        Replace schedulers and allocations that the specification has.
    dry_run
        Only show the plan.
    """
    # PERF: only what `--help` needs is imported above.
    from torc_slurm.generating import generated
    from torc_slurm.planning.telling import document, reasons, table
    from torc_terminal.output.cells import plain
    from torc_terminal.remembered import remember
    from torc_terminal.specs import accepted
    from torc_terminal.standing import amount

    refuse_csv(session)
    file = named(spec, stdin, "workflows create-slurm")
    made = generated(
        session,
        file if file == "-" else there(file),
        creating or Creating(),
        options or PlannerOptions(),
        overwrite=overwrite,
    )
    for warning in made.plan.warnings:
        session.warn(warning)
    told = list(table(made.plan, made.names))
    data = document(made.plan, made.account, made.names)
    if dry_run:
        text = "\n".join([*told, "", *reasons(made.plan, made.names)])
        return Report(schema="torc.slurm.plan/1", data=data | {"dry_run": True, "written": None}, text=text)
    plan = accepted(session, made.found)
    workflow = session.store().create(plan, session.user())
    remember(session.config.environ, [(workflow.id, workflow.name)])
    session.note("\n".join(told))
    return Outcome(
        message=(
            f"Created workflow {workflow.id} '{plain(workflow.name)}' ({amount(len(plan.jobs), 'job')}, "
            f"{amount(made.plan.allocations, 'allocation')} planned)"
        ),
        workflow_id=workflow.id,
        extra={"workflow_name": workflow.name, "job_count": len(plan.jobs), "plan": data},
        hint=f"submit it: torc submit {workflow.id}",
    )
