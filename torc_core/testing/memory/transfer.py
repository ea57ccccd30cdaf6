"""A workflow leaves as a document and comes as one (`engine.md` §17)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torc_core.engine.exporting import Contents, Wiring
from torc_core.engine.importing import Parcel, settled
from torc_core.engine.release import recount
from torc_core.model import (
    Action,
    Allocation,
    AllocationId,
    EntityId,
    Event,
    FailureHandler,
    File,
    JobId,
    Json,
    LocalScheduler,
    LocalSchedulerId,
    Node,
    NodeId,
    Requirement,
    Result,
    ResultId,
    RoCrateEntity,
    SlurmScheduler,
    UserData,
    WorkflowId,
)
from torc_core.testing.memory import creation, triggers
from torc_core.testing.memory.flow import Flow


def contents(flow: Flow, results: bool, events: Sequence[Event] | None) -> Contents:
    """All that belongs to a workflow."""

    def rows(kind: type[Any]) -> list[Any]:
        return [flow.tables[kind][id] for id in sorted(flow.tables[kind])]

    uses = [
        (job, group, source)
        for job, groups in sorted(flow.links.uses.items())
        for group, source in groups.items()
    ]
    outputs = [
        (job, kind, item)
        for job, both in sorted(flow.outputs.items())
        for kind, items in both.items()
        for item in items
    ]
    return Contents(
        workflow=flow.workflow,
        wiring=Wiring(
            groups=flow.links.members, uses=uses, outputs=outputs,
            inputs={at: (one.kind, one.items) for at, one in enumerate(flow.input_sets)},
            readers=[(job, at) for job, sets in sorted(flow.inputs.items()) for at in sets],
        ),
        files=rows(File), user_data=rows(UserData), first_data=flow.first_data, requirements=rows(Requirement),
        handlers=rows(FailureHandler), schedulers=rows(SlurmScheduler), local_schedulers=rows(LocalScheduler),
        jobs=[flow.jobs[id] for id in sorted(flow.jobs)],
        actions=[triggers.seen(flow, one) for one in rows(Action)], entities=rows(RoCrateEntity),
        nodes=rows(Node) if results else (), allocations=rows(Allocation) if results else (),
        results=[flow.seen(one) for one in rows(Result)] if results else None, events=events,
    )  # fmt: skip


def unpacked(
    given: Parcel, user: str, id: WorkflowId, now: int, number: Callable[[str], int]
) -> tuple[Flow, list[Event]]:
    """A workflow with all that is in a parcel, and the events it brings; their ids have to be set."""
    flow = creation.of_plan(given.plan, user, id, now, number)
    flow.workflow = replace(flow.workflow, **given.workflow)
    jobs = sorted(flow.jobs)
    files, data = sorted(flow.tables[File]), sorted(flow.tables[UserData])
    schedulers, actions = sorted(flow.tables[SlurmScheduler]), sorted(flow.tables[Action])
    for at, file in zip(files, given.files, strict=True):
        flow.tables[File][at] = replace(file, id=at, workflow_id=id)  # type: ignore[arg-type]  # tables are keyed by kind
    for at, datum in zip(data, given.user_data, strict=True):
        flow.tables[UserData][at] = replace(datum, id=at, workflow_id=id)  # type: ignore[arg-type]  # as above
    for place, fields in given.actions.items():
        one: Action = flow.tables[Action][actions[place]]
        flow.tables[Action][actions[place]] = replace(one, **fields)

    def new(
        kind: type[Any], counter: str, records: Sequence[Any], wrap: Callable[[int], Any], **refers: Any
    ) -> list[Any]:
        """Put records in; `refers`: by field the ids that its positions stand for."""
        made = []
        for record in records:
            changed: dict[str, Any] = {"id": wrap(number(counter)), "workflow_id": id}
            for field, ids in refers.items():
                place = getattr(record, field)
                changed[field] = None if place is None else ids[place]
            made.append(replace(record, **changed))
            flow.tables[kind][made[-1].id] = made[-1]
        return made

    new(LocalScheduler, "local_scheduler", given.local_schedulers, LocalSchedulerId)
    new(RoCrateEntity, "entity", given.entities, EntityId, file_id=files)
    allocations = [
        one.id
        for one in new(
            Allocation, "allocation", given.allocations, AllocationId, scheduler_config_id=schedulers
        )
    ]
    nodes = [
        one.id
        for one in new(Node, "node", given.nodes, NodeId, scheduler_id=schedulers, allocation_id=allocations)
    ]
    results = []
    for record in given.results:
        job = jobs[record.job_id]
        result = replace(
            record, id=ResultId(number("result")), workflow_id=id, job_id=job, job_name=flow.jobs[job].name,
            node_id=None if record.node_id is None else nodes[record.node_id],
        )  # fmt: skip
        flow.keep(result)
        results.append(result.id)
    _set_jobs(flow, given, jobs, results)
    ids = {"jobs": jobs, "compute_nodes": nodes, "workflow_actions": actions, "files": files}
    return flow, [replace(one, workflow_id=id, data=settled(one, ids, id)) for one in given.events]


def _set_jobs(flow: Flow, given: Parcel, jobs: Sequence[JobId], results: Sequence[ResultId]) -> None:
    for place, fields in given.jobs.items():
        values: dict[str, Json | ResultId] = dict(fields)
        if "spawned_by" in values:
            values["spawned_by"] = jobs[fields["spawned_by"]]
        if place in given.current:
            values["result_id"] = results[given.current[place]]
        flow.put(replace(flow.jobs[jobs[place]], **values))  # type: ignore[arg-type]  # fields of a job
    for group, members in flow.links.members.items():
        flow.links.counts[group] = recount(flow.jobs[one].status for one in members)
    for job in jobs:
        creation.recount_waiter(flow, job)
