"""The store itself: one lock, one condition for those who wait for work, and the protocol on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from torc_core.engine import telling
from torc_core.engine.checks import check_modes, checked, wrong
from torc_core.engine.records import (
    COUNTERS,
    NAMED,
    changed,
    check_addable,
    check_removable,
    check_welcome,
    duplicates,
    merged,
    no_group,
    removed,
    stamped,
)
from torc_core.errors import Forbidden, Invalid, NotFound, TorcError
from torc_core.model import (
    AccessGroup,
    Assignment,
    Ending,
    Event,
    EventId,
    File,
    GroupId,
    GroupLink,
    GroupLinkId,
    InputKind,
    Job,
    JobDependency,
    JobFile,
    JobId,
    JobRelations,
    Membership,
    NewJob,
    NewNode,
    Node,
    NodeId,
    NodeState,
    Offer,
    Orders,
    Page,
    Plan,
    Progress,
    Query,
    Resources,
    RunningJob,
    Sample,
    SlurmCorrelation,
    Stage,
    Standing,
    Totals,
    Turn,
    Usage,
    UserData,
    UserDataId,
    Verdict,
    Workflow,
    WorkflowId,
)
from torc_core.store.fields import PAIRS, WITHOUT_WORKFLOW, check_change, check_query, known
from torc_core.store.standing import seen
from torc_core.testing.memory import (
    attempts,
    catalog,
    creation,
    lifecycle,
    losing,
    nodes,
    relations,
    whereabouts,
)
from torc_core.testing.memory.flow import Flow
from torc_core.testing.memory.verbs.actions import ActionVerbs
from torc_core.testing.memory.verbs.allocations import AllocationVerbs
from torc_core.testing.memory.verbs.growth import GrowthVerbs
from torc_core.testing.memory.verbs.keeping import KeepingVerbs
from torc_core.testing.memory.verbs.nodes import NodeVerbs
from torc_core.testing.memory.verbs.operations import OperationVerbs
from torc_core.testing.memory.verbs.permissions import PermissionVerbs
from torc_core.testing.memory.verbs.runs import RunVerbs
from torc_core.testing.memory.verbs.transfer import TransferVerbs

R = TypeVar("R")

LATE = 0.002
"""Seconds after the instant of a delayed retry, so that it is past when one looks."""


class MemoryStore(
    RunVerbs,
    GrowthVerbs,
    OperationVerbs,
    ActionVerbs,
    NodeVerbs,
    AllocationVerbs,
    PermissionVerbs,
    TransferVerbs,
    KeepingVerbs,
):
    """The `Store` protocol over dictionaries. Any number of threads may use it."""

    # Queue

    @property
    def server_id(self) -> str:
        """A UUID made with the store."""
        return self._server_id

    def join(self, node: NewNode) -> Node:
        """Register a runner."""
        with self._change(node.workflow_id) as change:
            return nodes.join(change, node)

    def turn(self, turn: Turn) -> Orders:
        """One call of a runner, in one transaction; held while there is nothing to say."""
        with self._locked():
            number = self._turns[turn.node] = self._turns.get(turn.node, 0) + 1
            self._version += 1
            self._changed.notify_all()
        waits = 0.0
        if turn.offer and not (turn.endings or turn.starts or turn.give_back or turn.beat):
            waits = min(max(turn.offer.wait_ms, 0), 20_000) / 1000
        until, again = self._clock.monotonic() + waits, False
        while True:
            with self._locked():
                flow, answer, news = self._answer(turn, again=again)
                again = True
                seen = self._version
                left = min(waits, until - self._clock.monotonic())
                if news or left <= 0:
                    return nodes.remember(flow, turn.node, answer)
            pause = left if answer.retry_ms is None else min(left, answer.retry_ms / 1000 + LATE)
            with self._changed:
                if not self._changed.wait_for(lambda seen=seen: self._version != seen, pause):  # type: ignore[misc]
                    # A delayed retry is due, or the time is over.
                    waits = left - pause
                if self._turns[turn.node] != number:
                    # The node's next turn is here; it gets what there is.
                    return answer

    def try_turn(self, turn: Turn, *, again: bool = False) -> tuple[Orders, bool]:
        """A turn that is answered at once, and whether the answer says anything new."""
        with self._locked():
            self._turns[turn.node] = self._turns.get(turn.node, 0) + 1
            flow, answer, news = self._answer(turn, again=again)
            return nodes.remember(flow, turn.node, answer), news

    def _answer(self, turn: Turn, *, again: bool) -> tuple[Flow, Orders, bool]:
        flow = self._flow_of(Node, turn.node)
        node = nodes.seated(flow, turn)
        with self._change(flow.workflow.id) as change:
            attempts.expire_by_hand(change)
            said = nodes.act(change, node, turn, again=again)
            offer = None if again and node.state is NodeState.LOST else turn.offer
            jobs, empty = attempts.claim(change, node, offer) if offer else ([], None)
        answer = nodes.orders(flow, node, said, jobs, empty, change.now)
        return flow, answer, nodes.news(flow, node, answer)

    def leave(self, node: NodeId, usage: Usage | None) -> None:
        """A runner goes; a second time is no harm."""
        with self._locked():
            flow = self._flow_of(Node, node)
            with self._change(flow.workflow.id) as change:
                losing.leave(change, flow.tables[Node][node], usage)

    # Catalog

    def get(self, kind: type[R], id: int) -> R:
        """One record."""
        with self._locked():
            return self._record(kind, id)[1]  # type: ignore[no-any-return]  # tables are keyed by kind

    def find(self, kind: type[R], query: Query) -> Page[R]:
        """Records of a kind, a page of them."""
        check_query(kind, query)
        with self._locked():
            if kind in WITHOUT_WORKFLOW:
                return catalog.page([], kind, query, self._records.get(kind, {}).values())
            if query.workflow is None:
                flows = list(self._flows.values())
            else:
                flows = [self._flows[query.workflow]] if query.workflow in self._flows else []
            if kind in PAIRS:
                return self._pairs(kind, flows, query)
            if kind is Event:
                found = [one for one in self._events.values() if query.workflow in (None, one.workflow_id)]
            else:
                found = [one for flow in flows for one in catalog.records(flow, kind)]
            return catalog.page(flows, kind, query, found)

    def _pairs(self, kind: type[Any], flows: Sequence[Flow], query: Query) -> Page[Any]:
        pages: list[Page[Any]] = []
        for flow in flows:
            if kind is JobDependency:
                pages.append(relations.dependencies(flow, query))
            elif kind is RunningJob:
                pages.append(whereabouts.running(flow, query))
            elif kind is SlurmCorrelation:
                pages.append(whereabouts.correlations(flow, query))
            else:
                sort = InputKind.FILE if kind is JobFile else InputKind.USER_DATA
                pages.append(relations.relations(flow, sort, query))
        found = [page for page in pages if page.total] or [Page(items=[], total=0, offset=query.offset)]
        return found[0]

    def add(self, records: Sequence[R]) -> Sequence[R]:
        """Add records; all of them or, if one is refused, none."""
        rows: list[Any] = list(records)
        check_addable(rows)
        rows = [checked(row) for row in rows]
        with self._locked():
            for row in rows:
                if type(row) not in WITHOUT_WORKFLOW:
                    self._flow(row.workflow_id)
            taken = {
                key: self._named(*key)
                for key in {(row.workflow_id, type(row)) for row in rows if type(row) in NAMED}
            }
            if any(type(row) in whereabouts.ADD for row in rows):
                # Adding one that is there already is no harm, so that nothing can be taken back one by one.
                with self.together():
                    return [self._add(row) for row in rows]
            added: list[Any] = []
            try:
                for row in rows:
                    added.append(self._add(row))
            except TorcError:
                for one in added:
                    self._take_back(one)
                raise
            for (workflow, kind), names in taken.items():
                new = [
                    (one.name, one.id)
                    for one in added
                    if (type(one), getattr(one, "workflow_id", 0)) == (kind, workflow)
                ]
                with self._change(workflow) as change:
                    for told in duplicates(known(kind).noun, names, new):
                        change.tell(told)
        return added

    def _named(self, workflow: WorkflowId, kind: type[Any]) -> dict[str, list[int]]:
        names: dict[str, list[int]] = {}
        for one in self._flow(workflow).tables[kind].values():
            names.setdefault(one.name, []).append(one.id)
        return names

    def _add(self, row: Any) -> Any:
        kind = type(row)
        if kind in WITHOUT_WORKFLOW:
            check_welcome(row, self._look(None))
            added = stamped(replace(row, id=self._number(COUNTERS[kind])), self._clock.now())
            self._records.setdefault(kind, {})[added.id] = added
            return added
        with self._change(row.workflow_id) as change:
            if kind is not Event:
                return catalog.add(change, row, self._look(row.workflow_id))
            return self._write(row.workflow_id, [(row.category, row.data)], row.severity)[0]

    def _take_back(self, one: Any) -> None:
        kind = type(one)
        if kind in WITHOUT_WORKFLOW:
            del self._records[kind][one.id]
        elif kind is Event:
            del self._events[one.id]
        else:
            catalog.take_back(self._flow(one.workflow_id), one)

    def change(self, kind: type[R], id: int, fields: Mapping[str, object]) -> R:
        """Change fields of a record."""
        check_change(kind, fields)
        with self._locked():
            flow, record = self._record(kind, id)
            if kind in WITHOUT_WORKFLOW:
                new: Any = checked(changed(record, merged(record, fields)))
                check_welcome(new, self._look(None))
                self._records[kind][id] = new
                return new  # type: ignore[no-any-return]  # tables are keyed by kind
            if flow is None:
                raise Forbidden(f"event {id} cannot be changed; its workflow is deleted")
            with self._change(flow.workflow.id) as change:
                new = catalog.change_record(change, record, fields, self._look(flow.workflow.id))
            if kind is Event:
                self._events[EventId(id)] = new
        return new  # type: ignore[no-any-return]  # tables are keyed by kind

    def remove(self, kind: type[R], ids: Sequence[int]) -> int:
        """Remove records; all of them or, if one is in use, none."""
        noun = known(kind).noun
        with self._locked():
            found = []
            for id in dict.fromkeys(ids):
                try:
                    found.append(self._record(kind, id))
                except NotFound:
                    continue
            for flow, record in found:
                check_removable(record, self._look(None if flow is None else flow.workflow.id))
                if flow is not None:
                    catalog.check_unused(flow, record)
            gone: dict[WorkflowId, list[Any]] = {}
            for flow, record in found:
                if kind is Event:
                    del self._events[record.id]
                elif flow is None:
                    self._drop(record)
                else:
                    gone.setdefault(flow.workflow.id, []).append(record)
            for workflow, records in gone.items():
                with self._change(workflow) as change:
                    catalog.remove(change, kind, records)
                    for told in removed(noun, [record.id for record in records]):
                        change.tell(told)
        return len(found)

    def _drop(self, record: Any) -> None:
        """Remove a record that belongs to no workflow, and what refers to it."""
        del self._records[type(record)][record.id]
        if isinstance(record, AccessGroup):
            members = self._records.setdefault(Membership, {})
            self._records[Membership] = {id: one for id, one in members.items() if one.group_id != record.id}
            for flow in self._flows.values():
                links = flow.tables[GroupLink]
                flow.tables[GroupLink] = {id: one for id, one in links.items() if one.group_id != record.id}

    # Control

    def create(self, plan: Plan, user: str) -> Workflow:
        """Create all of a plan, or nothing."""
        check_modes(plan.workflow.execution_config)
        with self._locked():
            groups = self._groups_named(plan.workflow.access_groups)
            id = WorkflowId(self._number("workflow"))
            flow = creation.of_plan(plan, user, id, self._clock.now(), self._number)
            self._flows[id] = flow
            for group in groups:
                link = GroupLinkId(self._number("group_link"))
                flow.tables[GroupLink][link] = GroupLink(
                    id=link, workflow_id=id, group_id=group, created_at=self._clock.now()
                )
            self._write(id, [creation.created(flow.workflow)])
        return flow.workflow

    def _groups_named(self, names: Sequence[str]) -> list[GroupId]:
        groups = {one.name: one.id for one in self._records.get(AccessGroup, {}).values()}
        for name in names:
            if name not in groups:
                raise Invalid(no_group(name), details={"field": "access_groups", "value": name})
        return [groups[name] for name in dict.fromkeys(names)]

    def add_jobs(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Add jobs to one workflow."""
        workflows = {job.workflow_id for job in jobs}
        if len(workflows) > 1:
            raise Invalid("jobs can only be added to one workflow at a time")
        for workflow in workflows:
            with self._change(workflow) as change:
                return creation.add(change, jobs)
        return []

    def add_user_data(
        self, record: UserData, *, consumer: JobId | None = None, producer: JobId | None = None
    ) -> UserData:
        """Add a value that one job reads and another writes."""
        with self._locked():
            flow = self._flow(record.workflow_id)
            for field, job in (("consumer_job_id", consumer), ("producer_job_id", producer)):
                if job is not None and job not in flow.jobs:
                    raise wrong(field, job, f"workflow {record.workflow_id} has no job {job}")
            (added,) = self.add([record])
            kind = InputKind.USER_DATA
            with self._change(record.workflow_id):
                if consumer is not None:
                    sets = [flow.input_sets[index] for index in flow.inputs.get(consumer, ())]
                    read = [UserDataId(item) for one in sets if one.kind is kind for item in one.items]
                    creation.relate(flow, consumer, input_user_data=[*read, added.id])
                if producer is not None:
                    written = [UserDataId(item) for item in flow.outputs.get(producer, {}).get(kind, ())]
                    creation.relate(flow, producer, output_user_data=[*written, added.id])
        return added

    def totals(self, workflows: Sequence[WorkflowId]) -> Sequence[Totals]:
        """How far workflows are, in one snapshot."""
        with self._locked():
            return [lifecycle.totals(self._flow(workflow)) for workflow in workflows]

    def stages(self, workflow: WorkflowId) -> Sequence[Stage]:
        """The jobs of a workflow summed up by name."""
        with self._locked():
            return lifecycle.stages(self._flow(workflow))

    def standing(self, workflow: WorkflowId, *, by_stage: bool = False) -> Standing:
        """A look at a workflow, in one snapshot."""
        with self._locked():
            return seen(self, workflow, self._clock.now(), by_stage=by_stage)

    def sampled(self, workflow: WorkflowId, most: int) -> Sequence[Sample]:
        """Jobs that stand for all of a workflow."""
        with self._locked():
            return lifecycle.sampled(self._flow(workflow), most)

    def used(self, workflow: WorkflowId) -> Mapping[NodeId, Resources]:
        """What the live attempts take of each runner that has not left, by the records."""
        with self._locked():
            flow = self._flow(workflow)
            return {one.id: attempts.used(flow, one) for one in flow.tables[Node].values() if one.is_active}

    def required_files(self, workflow: WorkflowId) -> Sequence[File]:
        """Files that have to exist."""
        with self._locked():
            return lifecycle.required_files(self._flow(workflow))

    def missing_user_data(self, workflow: WorkflowId) -> Sequence[UserData]:
        """User data that is read, not produced, and has no value."""
        with self._locked():
            return lifecycle.missing_user_data(self._flow(workflow))

    def relations(self, jobs: Sequence[JobId]) -> Sequence[JobRelations]:
        """The id lists of jobs."""
        with self._locked():
            homes = {job: flow for flow in self._flows.values() for job in flow.jobs}
            return [relations.of_job(homes[job], job) for job in jobs if job in homes]

    def claim(self, workflow: WorkflowId, offer: Offer) -> Sequence[Assignment]:
        """Take ready jobs without being a node; they are pending, whatever `offer.start` says."""
        with self._change(workflow) as change:
            attempts.expire_by_hand(change)
            return attempts.claim(change, None, offer)[0]

    def start(self, job: JobId, run_id: int, node: NodeId | None) -> Verdict:
        """An unfenced start."""
        with self._locked():
            flow = self._flow_of(Job, job)
            with self._change(flow.workflow.id) as change:
                attempts.expire_by_hand(change)
                verdict = attempts.start_by_hand(change, flow.jobs[job], run_id, node)
        return verdict

    def finish(self, workflow: WorkflowId, endings: Sequence[Ending]) -> Sequence[Verdict]:
        """Record endings, one by one; those who waited follow in the same transaction."""
        with self._change(workflow) as change:
            judged = [attempts.finish(change, ending) for ending in endings]
        if len(judged) == 1 and judged[0].refusal is not None:
            raise judged[0].refusal
        return [judgement.verdict for judgement in judged]

    def resume(self, workflow: WorkflowId, dead: Sequence[NodeId]) -> Progress:
        """Make ready again what dead runners left behind."""
        with self._change(workflow) as change:
            lifecycle.resume(change, dead)
        return self._progress(change)

    def cancel(self, workflow: WorkflowId, reason: str | None = None) -> Progress:
        """Cancel a workflow."""
        with self._change(workflow) as change:
            lifecycle.cancel(change, reason)
        return self._progress(change)

    def stop(self, jobs: Sequence[JobId], *, terminate: bool = False, reason: str | None = None) -> Progress:
        """Cancel or terminate single jobs of one workflow."""
        with self._locked():
            rows = [self._record(Job, job)[1] for job in dict.fromkeys(jobs)]
            workflows = {job.workflow_id for job in rows}
            if len(workflows) != 1:
                raise Invalid(f"name jobs of one workflow, not of {len(workflows)}")
            with self._change(workflows.pop()) as change:
                lifecycle.stop(change, rows, terminate, reason)
        return self._progress(change)

    def delete(self, workflow: WorkflowId, *, force: bool = False) -> None:
        """Delete a workflow; only the event that says so stays."""
        with self._locked():
            flow = self._flow(workflow)
            if not force:
                lifecycle.check_deletable(flow)
            del self._flows[workflow]
            self._events = {id: one for id, one in self._events.items() if one.workflow_id != workflow}
            title, run = flow.workflow.name, flow.workflow.run_id
            self._write(workflow, [telling.of_workflow("workflow_deleted", workflow, title, run)])
            self._version += 1
            self._changed.notify_all()
