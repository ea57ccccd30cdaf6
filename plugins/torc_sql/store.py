"""The store itself: one method per verb, each a transaction, put together from the nouns beside this module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from torc_core.engine.checks import check_modes, checked, wrong
from torc_core.engine.explain import Empty
from torc_core.engine.records import check_addable, check_removable, removed
from torc_core.errors import Invalid
from torc_core.model import (
    Assignment,
    Ending,
    Event,
    File,
    Job,
    JobDependency,
    JobFile,
    JobId,
    JobRelations,
    JobUserData,
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
    Verdict,
    Workflow,
    WorkflowId,
)
from torc_core.store.fields import PAIRS, WITHOUT_WORKFLOW, check_change, check_query, known
from torc_sql import (
    adding,
    catalog,
    claims,
    completion,
    creation,
    deletion,
    finding,
    lifecycle,
    losing,
    nodes,
    pairs,
    relations,
    whereabouts,
)
from torc_sql.change import Change
from torc_sql.relating import related
from torc_sql.state import known_job, workflow_state
from torc_sql.verbs.actions import ActionVerbs
from torc_sql.verbs.allocations import AllocationVerbs
from torc_sql.verbs.growth import GrowthVerbs
from torc_sql.verbs.keeping import KeepingVerbs
from torc_sql.verbs.nodes import NodeVerbs
from torc_sql.verbs.operations import OperationVerbs
from torc_sql.verbs.permissions import PermissionVerbs
from torc_sql.verbs.runs import RunVerbs
from torc_sql.verbs.transfer import TransferVerbs

if TYPE_CHECKING:
    pass

R = TypeVar("R")
LONGEST_WAIT = 20_000
"""Milliseconds that a turn is held at most."""

LATE = 0.002
"""Seconds after the instant of a delayed retry, so that it is past when one looks."""


class SqlStore(
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
    """The `Store` protocol over a database. Any number of threads may use it."""

    # Queue

    @property
    def server_id(self) -> str:
        """The UUID that the database got when it was made."""
        return self._database.server_id

    @property
    def predecessor(self) -> str | None:
        """Who had the database before and did not give it back; None: nobody, or it is not known."""
        return getattr(self._database, "predecessor", None)

    @property
    def is_lost(self) -> bool:
        """Whether another process has taken the database over."""
        return getattr(self._database, "is_lost", False)

    def join(self, node: NewNode) -> Node:
        """Register a runner."""
        with self._change(node.workflow_id) as change:
            return nodes.join(change, node)

    def turn(self, turn: Turn) -> Orders:
        """One call of a runner, in one transaction; held while there is nothing to say."""
        number = self._waiting.arrive(turn.node)
        waits = 0.0
        if turn.offer and not (turn.endings or turn.starts or turn.give_back or turn.beat):
            waits = min(max(turn.offer.wait_ms, 0), LONGEST_WAIT) / 1000
        until, again = self._clock.monotonic() + waits, False
        while True:
            wf, seen, answer = self._answer(turn, again=again)
            left = min(waits, until - self._clock.monotonic())
            if left <= 0 or self._waiting.news(turn.node, answer):
                return self._waiting.remember(turn.node, answer)
            pause = left if answer.retry_ms is None else min(left, answer.retry_ms / 1000 + LATE)
            woken = self._waiting.wait(turn.node, number, wf, seen, pause)
            if woken is None:
                # The node's next turn is here; it gets what there is.
                return answer
            # If nobody woke it, a delayed retry is due, or the time is over.
            waits, again = waits if woken else left - pause, True

    def try_turn(self, turn: Turn, *, again: bool = False) -> tuple[Orders, bool]:
        """A turn that is answered at once, and whether the answer says anything new."""
        self._waiting.arrive(turn.node)
        _, _, answer = self._answer(turn, again=again)
        news = self._waiting.news(turn.node, answer)
        return self._waiting.remember(turn.node, answer), news

    def _answer(self, turn: Turn, *, again: bool) -> tuple[WorkflowId, int, Orders]:
        with self._write() as tx:
            node = nodes.node_of(tx, turn.node)
            nodes.check_seat(node, turn)
            seen = self._waiting.pulse(node.workflow_id)
            change = Change(tx, node.workflow_id, self._shapes)
            claims.expire_by_hand(change)
            said, empty = nodes.act(change, node, turn, again=again), None
            if turn.offer is not None and not (again and node.state is NodeState.LOST):
                jobs, empty = claims.claim(change, node, turn.offer)
                said = replace(said, jobs=jobs)
            change.close()
            return node.workflow_id, seen, nodes.orders(change, node, said, empty)

    def leave(self, node: NodeId, usage: Usage | None) -> None:
        """A runner goes; a second time is no harm."""
        with self._write() as tx:
            row = nodes.node_of(tx, node)
            change = Change(tx, row.workflow_id, self._shapes)
            losing.leave(change, row, usage)
            change.close()
        self._waiting.forget(node)

    # Catalog

    def get(self, kind: type[R], id: int) -> R:
        """One record."""
        with self._read() as tx:
            return self._record(tx, kind, id)  # type: ignore[no-any-return]  # tables are keyed by kind

    def find(self, kind: type[R], query: Query) -> Page[R]:
        """Records of a kind, a page of them."""
        check_query(kind, query)
        with self._read() as tx:
            if kind not in PAIRS:
                return finding.find(tx, self._database.dialect, kind, query)
            listing: dict[type[Any], Callable[..., Page[Any]]] = {
                JobDependency: pairs.dependencies, JobFile: pairs.files, JobUserData: pairs.user_data,
                RunningJob: whereabouts.running, SlurmCorrelation: whereabouts.correlations,
            }  # fmt: skip
            for wf in [row[0] for row in tx.rows("VISIBLE") if query.workflow in (None, row[0])]:
                page = listing[kind](tx, wf, query)
                if page.total:
                    return page
            return Page(items=[], total=0, offset=query.offset)

    def add(self, records: Sequence[R]) -> Sequence[R]:
        """Add records; all of them or, if one is refused, none."""
        new: list[Any] = list(records)
        check_addable(new)
        new = [checked(one) for one in new]
        with self._write() as tx:
            return adding.add(tx, self._database.dialect, self._shapes, new)

    def change(self, kind: type[R], id: int, fields: Mapping[str, object]) -> R:
        """Change fields of a record."""
        check_change(kind, fields)
        with self._write() as tx:
            record = self._record(tx, kind, id)
            if kind in WITHOUT_WORKFLOW:
                catalog.change_alone(tx, record, fields, finding.look(tx, self._database.dialect, None))
            else:
                change = self._change_of(tx, record)
                look = finding.look(tx, self._database.dialect, change.wf)
                catalog.change_record(change, record, fields, look)
                change.close()
            return self._record(tx, kind, id)  # type: ignore[no-any-return]  # tables are keyed by kind

    def remove(self, kind: type[R], ids: Sequence[int]) -> int:
        """Remove records; all of them or, if one is in use, none."""
        noun = known(kind).noun
        with self._write() as tx:
            found = self._records(tx, kind, list(dict.fromkeys(ids)))
            groups: dict[WorkflowId | None, list[Any]] = {}
            for record in found:
                wf = None if kind in WITHOUT_WORKFLOW else getattr(record, "workflow_id", None)
                groups.setdefault(wf, []).append(record)
            for wf, records in groups.items():
                look = finding.look(tx, self._database.dialect, wf)
                for record in records:
                    check_removable(record, look)
                if wf is None:
                    for record in records:
                        catalog.remove_alone(tx, record)
                    continue
                change = self._change_of(tx, records[0])
                for record in records:
                    catalog.check_unused(change, record)
                catalog.remove(change, kind, records)
                for told in removed(noun, [record.id for record in records]) if kind is not Event else ():
                    change.tell(told)
                change.close()
        return len(found)

    # Control

    def create(self, plan: Plan, user: str) -> Workflow:
        """Create all of a plan, or nothing."""
        check_modes(plan.workflow.execution_config)
        return self._created(partial(creation.Made, plan, user), creation.size(plan))

    def add_jobs(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Add jobs to one workflow."""
        workflows = {job.workflow_id for job in jobs}
        if len(workflows) > 1:
            raise Invalid("jobs can only be added to one workflow at a time")
        for wf in workflows:
            with self._change(wf) as change:
                return adding.add_jobs(change, jobs)
        return []

    def add_user_data(
        self, record: UserData, *, consumer: JobId | None = None, producer: JobId | None = None
    ) -> UserData:
        """Add a value that one job reads and another writes."""
        check_addable([record])
        with self._change(record.workflow_id) as change:
            for field, job in (("consumer_job_id", consumer), ("producer_job_id", producer)):
                if job is not None and change.job(job) is None:
                    raise wrong(field, job, f"workflow {change.wf} has no job {job}")
            added = adding.named(change, UserData, [checked(record)])[0]
            if consumer is not None:
                read = [item for (item,) in change.tx.rows("INPUTS_USER_DATA", job_=consumer)]
                relations.relate(change, consumer, input_user_data=[*read, added.id])
            if producer is not None:
                written = [item for (item,) in change.tx.rows("OUTPUTS_USER_DATA", job_=producer)]
                relations.relate(change, producer, output_user_data=[*written, added.id])
            return added  # type: ignore[no-any-return]  # as it was given

    def totals(self, workflows: Sequence[WorkflowId]) -> Sequence[Totals]:
        """How far workflows are, in one snapshot."""
        with self._read() as tx:
            return [lifecycle.totals(tx, workflow) for workflow in workflows]

    def stages(self, workflow: WorkflowId) -> Sequence[Stage]:
        """The jobs of a workflow summed up by name."""
        with self._read() as tx:
            return lifecycle.stages(tx, workflow)

    def standing(self, workflow: WorkflowId, *, by_stage: bool = False) -> Standing:
        """A look at a workflow, in one snapshot."""
        from torc_core.store.standing import seen

        with self._snapshot():
            return seen(self, workflow, self._clock.now(), by_stage=by_stage)

    def sampled(self, workflow: WorkflowId, most: int) -> Sequence[Sample]:
        """Jobs that stand for all of a workflow."""
        with self._read() as tx:
            return lifecycle.sampled(tx, workflow, most)

    def used(self, workflow: WorkflowId) -> Mapping[NodeId, Resources]:
        """What the live attempts take of each runner that has not left, by the records."""
        with self._read() as tx:
            workflow_state(tx, workflow)
            return {
                node: Resources(cpus=cpus, memory=memory, gpus=gpus)
                for node, cpus, memory, gpus in tx.rows("USED", wf_=workflow)
            }

    def required_files(self, workflow: WorkflowId) -> Sequence[File]:
        """Files that have to exist."""
        with self._read() as tx:
            return lifecycle.required_files(tx, workflow)

    def missing_user_data(self, workflow: WorkflowId) -> Sequence[UserData]:
        """User data that is read, not produced, and has no value."""
        with self._read() as tx:
            return lifecycle.missing_user_data(tx, workflow)

    def relations(self, jobs: Sequence[JobId]) -> Sequence[JobRelations]:
        """The id lists of jobs."""
        with self._read() as tx:
            return related(tx, jobs)

    def claim(self, workflow: WorkflowId, offer: Offer) -> Sequence[Assignment]:
        """Take ready jobs without being a node; they are pending, whatever `offer.start` says."""
        with self._change(workflow) as change:
            claims.expire_by_hand(change)
            given: tuple[list[Assignment], Empty | None] = claims.claim(change, None, offer)
        return given[0]

    def start(self, job: JobId, run_id: int, node: NodeId | None) -> Verdict:
        """An unfenced start."""
        with self._write() as tx:
            found = self._record(tx, Job, job)
            change = Change(tx, found.workflow_id, self._shapes)
            claims.expire_by_hand(change)
            verdict = completion.start_by_hand(change, job, run_id, node)
            change.close()
        return verdict

    def finish(self, workflow: WorkflowId, endings: Sequence[Ending]) -> Sequence[Verdict]:
        """Record endings, one by one; those who waited follow in the same transaction."""
        with self._change(workflow) as change:
            judged = completion.finish(change, endings)
        if len(judged) == 1 and judged[0].refusal is not None:
            raise judged[0].refusal
        return [judgement.verdict for judgement in judged]

    def resume(self, workflow: WorkflowId, dead: Sequence[NodeId]) -> Progress:
        """Make ready again what dead runners left behind."""
        with self._change(workflow) as change:
            lifecycle.resume(change, dead)
        return change.progress

    def cancel(self, workflow: WorkflowId, reason: str | None = None) -> Progress:
        """Cancel a workflow."""
        with self._change(workflow) as change:
            lifecycle.cancel(change, reason)
        return change.progress

    def stop(self, jobs: Sequence[JobId], *, terminate: bool = False, reason: str | None = None) -> Progress:
        """Cancel or terminate single jobs of one workflow."""
        with self._write() as tx:
            found = [self._record(tx, Job, job) for job in dict.fromkeys(jobs)]
            workflows = {job.workflow_id for job in found}
            if len(workflows) != 1:
                raise Invalid(f"name jobs of one workflow, not of {len(workflows)}")
            change = Change(tx, workflows.pop(), self._shapes)
            lifecycle.stop(change, [known_job(tx, job.id) for job in found], terminate, reason)
            change.close()
        return change.progress

    def delete(self, workflow: WorkflowId, *, force: bool = False) -> None:
        """Delete a workflow; only the event that says so stays."""
        with self._write() as tx:
            deletion.hide(tx, workflow, force)
        self._purge_hidden(workflow)
