"""Runs a workflow of the store, or that of a specification: a new one, or an unfinished one that it made before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from torc_cli.execute.capacity import offered
from torc_cli.execute.execution import Wish, detect, execute
from torc_cli.execute.halt import parse_halt
from torc_cli.execute.lasting import Times
from torc_cli.execute.lists import style_of
from torc_cli.execute.options import Printing, Running, Worker
from torc_cli.execute.resuming import unfinished
from torc_core.detection import Detected
from torc_core.model import Job, JobStatus, Json, Plan, Query, Requirement, Resources, Value, Workflow
from torc_core.model.resources import memory_text
from torc_core.protocols import Store
from torc_core.record import record
from torc_core.session import Answer as AnyAnswer
from torc_core.session import Session
from torc_terminal.creating import Creating
from torc_terminal.output.answer import Report as Answer
from torc_terminal.output.cells import plain
from torc_terminal.remembered import remember
from torc_terminal.selector import found as selected
from torc_terminal.specs import accepted, dry_text, problems, read
from torc_terminal.standing import amount
from torc_terminal.target import Kind, Target


@record(frozen=True, slots=True, kw_only=True)
class Start:
    """What the user said on the command line of `torc run`; `slots` 0: packed by resources."""

    target: Target
    creating: Creating
    running: Running
    printing: Printing
    times: Times
    slots: int = 0
    label: str | None = None
    persistent: bool = False
    new: bool = False
    resume: bool = True
    retry_failed: bool = False
    worker: Worker = Worker()


def go(session: Session, start: Start) -> AnyAnswer:
    """Find or make the workflow, and run it.

    Raises
    ------
    Complaints
        If the specification is not valid.
    NotFound
        If there is no such workflow.
    """
    running = start.running
    halt, style = parse_halt(running.halt), style_of(start.printing, printed=False)
    running.prove(session)
    plan = None
    if start.target.kind is Kind.SPEC:
        plan = accepted(session, read(session, start.target.text, start.creating))
    start.times.begin(session)
    # NOTE: looked for before the store is owned, which makes a database where there is none.
    chosen = selected(session, start.target.text) if plan is None else plan
    with session.owning() as store:
        earlier: Workflow | None
        if isinstance(chosen, Workflow):
            workflow = earlier = chosen
        else:
            earlier = None if start.new else continued(session, store, chosen, ended=start.retry_failed)
            workflow = earlier or created(session, store.create(chosen, session.user()))
        wish = Wish(
            asked=running.asked(session),
            slots=lambda cpus: start.slots,
            slots_given=bool(start.slots),
            output_dir=running.folder(session),
            times=start.times,
            label=start.label,
            persistent=start.persistent,
            joblog=(running.joblog, earlier is not None) if running.joblog else None,
            halt=halt,
            style=style,
            progress=running.progress,
            exit_zero=running.exit_zero,
            resume=start.resume,
            retry_failed=start.retry_failed,
            idle=start.worker.idle_exit,
            remote=start.worker.remote_worker,
            node_file=start.worker.node_file,
            seq=sequence(store, workflow),
        )
        return execute(session, store, workflow.id, wish)


def continued(session: Session, store: Store, plan: Plan, *, ended: bool = False) -> Workflow | None:
    """The unfinished workflow that this very document made last, or, if `ended`, the last at all; it is told."""
    path, content = plan.workflow.source_path, plan.workflow.source_digest
    earlier = unfinished(store, session.user(), path, content, ended=ended) if path and content else None
    if earlier is not None:
        session.note(f"continuing workflow {earlier.id}; --new starts another")
    return earlier


def created(session: Session, workflow: Workflow) -> Workflow:
    """Say that there is a new workflow."""
    remember(session.config.environ, [(workflow.id, workflow.name)])
    session.note(f"created workflow {workflow.id} '{plain(workflow.name)}'")
    return workflow


def sequence(store: Store, workflow: Workflow) -> Callable[[Job], int]:
    """Numbers for the job log: the position of a job in its workflow, from 1, as ids follow the document."""
    first = store.find(Job, Query(workflow=workflow.id, limit=1)).items
    before = first[0].id - 1 if first else 0
    return lambda job: job.id - before


def dry(session: Session, start: Start) -> AnyAnswer:
    """What would run, and what of it fits this host; nothing is changed."""
    detected = offered(detect(session), start.running.asked(session), [])
    if start.target.kind is Kind.WORKFLOW:
        workflow = selected(session, start.target.text)
        needs = stored_needs(session.store(), workflow)
        data: dict[str, Json] = {"workflow_id": workflow.id, "workflow_name": workflow.name}
        return fitting(data, f"workflow {workflow.id} '{plain(workflow.name)}'", needs, detected)
    found = read(session, start.target.text, start.creating)
    if found.plan is None or found.errors:
        return Answer(schema="torc.run.check/1", data=problems(found), text=dry_text(found), exit_code=2)
    counts = Counter(job.requirement for job in found.plan.jobs)
    planned = [found.plan.requirements[position] for position in counts]
    needs = {
        one.name: (
            Resources(cpus=one.num_cpus, memory=one.memory_bytes, gpus=one.num_gpus),
            one.num_nodes,
            count,
        )
        for one, count in zip(planned, counts.values(), strict=True)
    }
    return fitting(problems(found), dry_text(found), needs, detected)


Needs = Mapping[str, tuple[Resources, int, int]]
"""By name of a requirement: what it takes of one node, of how many nodes, and how many jobs have it."""


def stored_needs(store: Store, workflow: Workflow) -> Needs:
    """What the unfinished jobs of a workflow need."""
    still = tuple(int(status) for status in JobStatus if status.open)
    needs: dict[str, tuple[Resources, int, int]] = {}
    for one in store.find(Requirement, Query(workflow=workflow.id)).items:
        where: dict[str, Value | Sequence[Value]] = {"requirement_id": one.id, "status": still}
        count = store.find(Job, Query(workflow=workflow.id, where=where, limit=0)).total
        takes = Resources(cpus=one.num_cpus, memory=one.memory_bytes, gpus=one.num_gpus)
        if count:
            needs[one.name] = takes, one.num_nodes, count
    return needs


def fitting(data: dict[str, Json], text: str, needs: Needs, detected: Detected) -> Answer:
    """The answer of a dry run: how many jobs fit, and what those that do not would need."""
    capacity = detected.capacity
    never = {
        name: one for name, one in needs.items() if one[1] > detected.num_nodes or not capacity.covers(one[0])
    }
    total = sum(count for _, _, count in needs.values())
    misfits = sum(count for _, _, count in never.values())
    data["host"] = {
        "num_cpus": capacity.cpus, "memory_bytes": capacity.memory, "num_gpus": capacity.gpus
    }  # fmt: skip
    data["jobs_to_run"] = total
    data["jobs_that_fit"] = total - misfits
    data["jobs_that_never_fit"] = [
        {
            "resource_requirements": name, "jobs": count, "num_cpus": takes.cpus, "memory_bytes": takes.memory,
            "num_gpus": takes.gpus, "num_nodes": nodes,
        }
        for name, (takes, nodes, count) in never.items()
    ]  # fmt: skip
    lines = [
        text,
        (
            f"this host offers {amount(capacity.cpus, 'CPU')}, {memory_text(capacity.memory)} of memory and "
            f"{amount(capacity.gpus, 'GPU')}: {total - misfits} of {amount(total, 'job')} fit"
        ),
    ]
    lines += [
        f"{amount(count, 'job')} with '{plain(name)}' never fit: {amount(takes.cpus, 'CPU')}, "
        f"{memory_text(takes.memory)}, {amount(takes.gpus, 'GPU')}, {amount(nodes, 'node')}"
        for name, (takes, nodes, count) in never.items()
    ]
    return Answer(schema="torc.run.check/1", data=data, text="\n".join(lines), exit_code=1 if misfits else 0)
