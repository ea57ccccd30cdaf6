"""`torc workflows execution-plan` and `simulate`: the course of a workflow, and how long it takes on so many nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from torc_core.errors import UsageError
from torc_core.given import Given
from torc_core.model import Json
from torc_core.model.resources import duration_text
from torc_core.session import Session
from torc_terminal.options import Flag, Texts
from torc_terminal.output.answer import Report, Text, refuse_csv
from torc_terminal.output.cells import Column, plain
from torc_terminal.standing import amount

if TYPE_CHECKING:
    from torc_core.engine.dag import Dag
    from torc_core.engine.outline import Moment
    from torc_core.engine.simulation import Machine

SHOWN = 8
"""Names, or ranges of names, in a line."""

MOST_NODES = 10_000

FORECASTS = (
    Column(title="Nodes", key="nodes", right=True),
    Column(
        title="Finish", key="finish_seconds", right=True, show=lambda item: lasting(item["finish_seconds"])
    ),
    Column(title="Node hours", key="node_hours", right=True),
    Column(title="Utilization %", key="utilization_percent", right=True),
    Column(title="Never run", key="jobs_that_never_run", right=True),
)


def execution_plan(
    what: str | None = None,
    /,
    *,
    stages: int | None = None,
    dot: Flag = False,
    critical_path: Flag = False,
    nodes: int | None = None,
    cpus: Annotated[int | None, Parameter(name="--cpus")] = None,
    session: Given,
) -> Report | Text:
    """Show which jobs become ready when others have completed, and what takes longest.

    Parameters
    ----------
    what
        Specification, id of a workflow, or `last`.
    stages
        Show only the first so many stages.
    dot
        Print the stages as a graph in the language of Graphviz.
    critical_path
        Name the jobs of the chain that takes longest.
    nodes
        Also say how long it takes on so many nodes.
    cpus
        CPUs of each of these nodes; normally those of this host.
    """
    from torc_cli.dag_source import dag_from
    from torc_cli.drawing import dot_of_moments
    from torc_core.engine.outline import moments

    if stages is not None and stages < 1:
        raise UsageError(f"--stages '{stages}' is not above 0")
    if cpus is not None and nodes is None:
        raise UsageError("--cpus says how large the nodes of --nodes are; give both")
    refuse_csv(session)
    machine = None if nodes is None else _machine(session, nodes, cpus, None)
    dag, source = dag_from(session, what)
    listed = moments(dag)
    shown = listed if stages is None else listed[:stages]
    if dot:
        return Text(text=dot_of_moments(dag, shown))
    path, seconds = dag.critical_path()
    data: dict[str, Json] = {
        "status": "success",
        "source": source,
        "workflow_id": dag.workflow,
        "workflow_name": dag.name,
        "total_events": len(listed),
        "total_jobs": len(dag.steps),
        "root_events": [name_of(place) for place, one in enumerate(listed) if not one.after],
        "leaf_events": [name_of(place) for place, one in enumerate(listed) if not one.before],
        "events": [_event(dag, place, one) for place, one in enumerate(shown)],
        "critical_path": [dag.steps[job].name for job in path],
        "critical_path_seconds": seconds,
        "total_cpu_hours": round(dag.cpu_hours(), 4),
        "width_by_stage": _widths(dag),
    }
    if machine is not None:
        data["what_if"] = forecast(dag, machine)
    text = _text(dag, listed, shown, data, told_path=critical_path)
    return Report(schema="torc.workflows.execution-plan/1", data=data, text=text)


def simulate(
    what: str | None = None,
    /,
    *,
    nodes: Annotated[Texts, Parameter(name="--nodes")] = ("1,2,4,8",),
    walltime: str | None = None,
    cpus: Annotated[int | None, Parameter(name="--cpus")] = None,
    session: Given,
) -> Report:
    """Say how long a workflow takes on so many nodes, and what they cost: with measured run times, else declared ones.

    Parameters
    ----------
    what
        Specification, id of a workflow, or `last`.
    nodes
        Numbers of nodes to try: `1,2,4,8`.
    walltime
        Nodes come in allocations of this length, such as 4h or 04:00:00; a job begins only where it can end.
    cpus
        CPUs of each node; normally those of this host.
    """
    from torc_cli.dag_source import dag_from
    from torc_terminal.durations import seconds_of
    from torc_terminal.selector import ids

    numbers = ids(nodes)
    length = None if walltime is None else seconds_of(walltime, "--walltime")
    machines = [_machine(session, number, cpus, length) for number in numbers]
    dag, source = dag_from(session, what)
    rows = [forecast(dag, machine) for machine in machines]
    return Report(
        schema="torc.workflows.simulate/1",
        data={
            "source": source,
            "workflow_id": dag.workflow,
            "workflow_name": dag.name,
            "total_jobs": len(dag.steps),
            "cpus_per_node": machines[0].cpus,
            "walltime_seconds": length,
            "choices": rows,
        },
        text=f"Workflow: {plain(dag.name)}, {amount(len(dag.steps), 'job')} on nodes with {amount(machines[0].cpus, 'CPU')}",
        rows=rows,
        columns=FORECASTS,
        noun="choices",
    )


def forecast(dag: Dag, machine: Machine) -> dict[str, Json]:
    """How long it takes there, and what it costs."""
    from torc_core.engine.simulation import simulate as run

    found = run(dag, machine)
    return {
        "nodes": machine.nodes,
        "cpus_per_node": machine.cpus,
        "finish_seconds": round(found.seconds, 3),
        "node_hours": round(found.node_hours(machine), 4),
        "utilization_percent": round(100 * found.utilization(machine), 2),
        "jobs_that_never_run": found.stuck,
    }


def lasting(value: Json) -> str:
    """Seconds as people say them."""
    return duration_text(value) if isinstance(value, (int, float)) else ""


def name_of(place: int) -> str:
    """What an event is called in JSON."""
    return f"stage_{place + 1}"


def few(names: Sequence[str], quote: str = "") -> str:
    """Some names, numbers folded into ranges: `work_{1..5}, last`."""
    from torc_core.engine.outline import folded

    told = folded(names)
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return ", ".join(f"{quote}{plain(one)}{quote}" for one in told[:SHOWN]) + more


def described(dag: Dag, moment: Moment) -> str:
    """`Workflow Start`, or `When jobs 'a', 'b' complete`."""
    if not moment.trigger:
        return "Workflow Start"
    names = few([dag.steps[job].name for job in moment.trigger], "'")
    return f"When job {names} completes" if len(moment.trigger) == 1 else f"When jobs {names} complete"


def _machine(session: Session, nodes: int, cpus: int | None, walltime: float | None) -> Machine:
    from torc_core.engine.simulation import Machine

    if not 1 <= nodes <= MOST_NODES:
        raise UsageError(f"--nodes '{nodes}' is out of range; it is from 1 to {MOST_NODES}")
    if cpus is not None and cpus < 1:
        raise UsageError(f"--cpus '{cpus}' is not above 0")
    if cpus is None:
        from torc_cli.execute.execution import detect

        cpus = detect(session).capacity.cpus
    return Machine(nodes=nodes, cpus=cpus, walltime=walltime)


def _widths(dag: Dag) -> Sequence[int]:
    """How many jobs each level has."""
    count = Counter(dag.levels())
    return [count[level] for level in sorted(count)]


def _event(dag: Dag, place: int, moment: Moment) -> Mapping[str, Json]:
    trigger: dict[str, Json] = {"type": "WorkflowStart", "data": {}}
    if moment.trigger:
        jobs = [dag.steps[job].name for job in moment.trigger]
        trigger = {"type": "JobsComplete", "data": {"jobs": jobs}}
    return {
        "id": name_of(place),
        "trigger": trigger,
        "trigger_description": described(dag, moment),
        "scheduler_allocations": [
            {
                "scheduler": one.scheduler,
                "scheduler_type": one.scheduler_type,
                "num_allocations": one.allocations,
                "job_names": [dag.steps[job].name for job in one.jobs],
            }
            for one in moment.schedulings
        ],
        "jobs_becoming_ready": [dag.steps[job].name for job in moment.jobs],
        "depends_on_events": [name_of(one) for one in moment.after],
        "unlocks_events": [name_of(one) for one in moment.before],
    }


def _text(
    dag: Dag, listed: Sequence[Moment], shown: Sequence[Moment], data: Mapping[str, Json], *, told_path: bool
) -> str:
    lines = [f"Workflow: {plain(dag.name)}", f"Total Jobs: {len(dag.steps)}"]
    for place, one in enumerate(shown):
        lines += ["", f"{'→' if one.trigger else '▶'} Stage {place + 1}: {described(dag, one)}"]
        if one.schedulings:
            lines.append("  Scheduler Allocations:")
        lines += [
            f"    • {plain(two.scheduler)} ({plain(two.scheduler_type)}) - {two.allocations} allocation(s)"
            for two in one.schedulings
        ]
        lines.append("  Jobs Becoming Ready:")
        lines.append(f"    • {few([dag.steps[job].name for job in one.jobs])}")
    lines += ["", f"Total Stages: {len(listed)}"]
    if told_path:
        path: Json = data["critical_path"]
        names = " → ".join(plain(str(name)) for name in path) if isinstance(path, Sequence) else ""
        lines.append(f"Critical Path: {names} ({lasting(data['critical_path_seconds'])})")
    else:
        lines.append(f"Critical Path: {lasting(data['critical_path_seconds'])}")
    lines.append(f"Total CPU Hours: {data['total_cpu_hours']}")
    what_if = data.get("what_if")
    if isinstance(what_if, Mapping):
        lines.append(
            f"On {amount(what_if['nodes'], 'node')} with {amount(what_if['cpus_per_node'], 'CPU')}: {lasting(what_if['finish_seconds'])}, "
            f"{what_if['node_hours']} node hours, {what_if['utilization_percent']} % busy"
        )
        if what_if["jobs_that_never_run"]:
            lines.append(
                f"{amount(what_if['jobs_that_never_run'], 'job never runs', 'jobs never run')}: no such node is large enough"
            )
    return "\n".join(lines)
