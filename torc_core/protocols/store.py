"""What a store has to be able to do, a protocol for each sort of caller; `Store` is all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar, runtime_checkable

from torc_core.model import (
    Access,
    Action,
    ActionClaim,
    ActionId,
    ActionRun,
    Allocation,
    AllocationId,
    Assignment,
    ChangedJob,
    Ending,
    Event,
    File,
    Fingerprint,
    Held,
    Initialize,
    Inputs,
    Job,
    JobId,
    JobRelations,
    JobStatus,
    Json,
    Kept,
    NewJob,
    NewNode,
    Node,
    NodeId,
    Offer,
    Operation,
    OperationId,
    Orders,
    Page,
    Plan,
    Progress,
    Query,
    ReadyNeeds,
    RecoveryPlan,
    Renewed,
    Replan,
    Reset,
    SchedulerId,
    Spawn,
    Spawned,
    Turn,
    Usage,
    UserData,
    Verdict,
    Workflow,
    WorkflowId,
)
from torc_core.protocols.looking import Looking

R = TypeVar("R")


class Queue(Protocol):
    """The part of a store that a runner needs."""

    @property
    def server_id(self) -> str:
        """Which store this is: a UUID made when it was created."""
        ...

    def join(self, node: NewNode) -> Node:
        """Register a runner; the same epoch again gives the same node."""
        ...

    def turn(self, turn: Turn) -> Orders:
        """Endings, starts, give-back, beat, claim: one transaction, in this order.

        A turn that carries nothing but an offer is held up to `wait_ms` while there is nothing to give and
        nothing to order; the next turn of the same node, a cancel or the end of the workflow ends the wait.

        Raises
        ------
        Fenced
            If a newer epoch has replaced the turn's.
        """
        ...

    def leave(self, node: NodeId, usage: Usage | None) -> None:
        """The runner goes: what it still holds unstarted is ready again."""
        ...


class Catalog(Protocol):
    """Records, without verbs."""

    def get(self, kind: type[R], id: int) -> R:
        """One record.

        Raises
        ------
        NotFound
            If there is none.
        """
        ...

    def find(self, kind: type[R], query: Query) -> Page[R]:
        """Records of a kind, a page of them.

        Raises
        ------
        Invalid
            If a field cannot be filtered or sorted by; the message lists those that can.
        """
        ...

    def add(self, records: Sequence[R]) -> Sequence[R]:
        """Add files, user data, requirements or events; the answer carries their ids."""
        ...

    def change(self, kind: type[R], id: int, fields: Mapping[str, object]) -> R:
        """Change fields of a record (`engine.md` §8.7)."""
        ...

    def remove(self, kind: type[R], ids: Sequence[int]) -> int:
        """Remove records; the number that were there."""
        ...


class Control(Protocol):
    """What people do to workflows."""

    def create(self, plan: Plan, user: str) -> Workflow:
        """Create all of a plan, or nothing; the ids of each kind ascend by one in the order of the plan."""
        ...

    def add_jobs(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Add jobs, uninitialized, to one workflow; refused while jobs are pending or running."""
        ...

    def add_user_data(
        self, record: UserData, *, consumer: JobId | None = None, producer: JobId | None = None
    ) -> UserData:
        """Add a value that one job reads and another writes, whatever their statuses; it counts from the next run on.

        Raises
        ------
        Invalid
            If a job is of another workflow.
        """
        ...

    def required_files(self, workflow: WorkflowId) -> Sequence[File]:
        """Files that have to exist: read by a job and produced by none, and outputs of completed jobs."""
        ...

    def missing_user_data(self, workflow: WorkflowId) -> Sequence[UserData]:
        """User data that a job reads, nobody produces, and that has no value."""
        ...

    def relations(self, jobs: Sequence[JobId]) -> Sequence[JobRelations]:
        """The id lists of jobs, in the order asked for; jobs that are not there are left out."""
        ...

    def claim(self, workflow: WorkflowId, offer: Offer) -> Sequence[Assignment]:
        """Take ready jobs without being a node (unfenced, `engine.md` §7)."""
        ...

    def start(self, job: JobId, run_id: int, node: NodeId | None) -> Verdict:
        """An unfenced start (`engine.md` §8.1)."""
        ...

    def finish(self, workflow: WorkflowId, endings: Sequence[Ending]) -> Sequence[Verdict]:
        """Record endings and release, or cancel, the jobs that waited (`engine.md` §5.4, §8.2).

        Raises
        ------
        Invalid, Conflict
            Only for a batch of one: why it was refused. In larger batches a refused ending is `stale`.
        """
        ...

    def resume(self, workflow: WorkflowId, dead: Sequence[NodeId]) -> Progress:
        """Make ready again what runners that are known to be dead left behind (`engine.md` §8.4)."""
        ...

    def cancel(self, workflow: WorkflowId, reason: str | None = None) -> Progress:
        """Cancel a workflow (`engine.md` §8.6). Idempotent."""
        ...

    def stop(self, jobs: Sequence[JobId], *, terminate: bool = False, reason: str | None = None) -> Progress:
        """Cancel or terminate single jobs (`engine.md` §8.6)."""
        ...

    def delete(self, workflow: WorkflowId, *, force: bool = False) -> None:
        """Delete a workflow and all that belongs to it (`engine.md` §17).

        Raises
        ------
        Conflict
            If jobs are pending or running and `force` is not given.
        """
        ...


class Runs(Protocol):
    """Passes over a workflow: begun, begun again, set back (`engine.md` §6)."""

    def initialize(self, workflow: WorkflowId, how: Initialize) -> Progress:
        """Start a new run: jobs become ready or blocked (`engine.md` §6.2).

        Raises
        ------
        Invalid
            If the workflow is archived; without force, if inputs are missing or, in the full form, jobs are live.
        """
        ...

    def inspect(self, workflow: WorkflowId, fingerprints: Sequence[Fingerprint]) -> Inputs:
        """What an initialisation would meet (`engine.md` §6.3); changes nothing."""
        ...

    def renew(self, workflow: WorkflowId, how: Initialize, *, dry_run: bool = False) -> Renewed:
        """The user's `initialize`: all jobs are reset, then a full initialisation (`engine.md` §6.3)."""
        ...

    def reinitialize(self, workflow: WorkflowId, how: Initialize, *, dry_run: bool = False) -> Renewed:
        """Reset what changed since it ran, then a partial initialisation (`engine.md` §6.4)."""
        ...

    def changed_jobs(self, workflow: WorkflowId, *, dry_run: bool = False) -> Sequence[ChangedJob]:
        """Jobs whose input hash is another than before; they become uninitialized unless `dry_run` (`engine.md` §6.4)."""
        ...

    def reset(self, workflow: WorkflowId, how: Reset) -> Progress:
        """Open ended jobs again (`engine.md` §6.5).

        Raises
        ------
        Invalid
            If the workflow is archived; without force, if one of the jobs is live; if a job is of another workflow.
        """
        ...

    def recover(self, workflow: WorkflowId, plan: RecoveryPlan) -> Progress:
        """Give jobs what they lacked, reset them and what waits for them, and begin a run of these (`slurm.md` §10).

        Raises
        ------
        Conflict
            If the workflow is in another run than the plan, or canceled.
        Invalid
            If it is archived, or somebody works on it.
        NotFound
            If it has no such job.
        """
        ...

    def reset_workflow(self, workflow: WorkflowId, *, force: bool = False) -> Workflow:
        """Clear the cancel flag (`engine.md` §6.5)."""
        ...

    def set_run(self, workflow: WorkflowId, run_id: int) -> Workflow:
        """Take the number that an old client has raised by itself; 0 leaves it (`engine.md` §6.1).

        Raises
        ------
        Invalid
            If the number is smaller than the current one.
        """
        ...

    def archive(self, workflow: WorkflowId, archived: bool) -> Workflow:
        """Set or clear the archive flag; the same value again is no harm (`engine.md` §6.6).

        Raises
        ------
        Conflict
            While jobs are pending or running.
        """
        ...

    def retry(self, job: JobId, run_id: int, *, max_retries: int | None = None, force: bool = False) -> Job:
        """Make a failed, terminated, pending_failed or running job ready with its next attempt (`engine.md` §8.4).

        Raises
        ------
        Invalid
            If it has had its attempts, is of another run, or has another status.
        Conflict
            If it may still run on a node that is not proven dead, without force.
        """
        ...

    def move(self, job: JobId, status: JobStatus, run_id: int) -> Job:
        """Set a status by hand (`engine.md` §4.1, `manage_status_change`)."""
        ...

    def ready_needs(self, workflow: WorkflowId, scheduler: SchedulerId | None = None) -> ReadyNeeds:
        """Sums and maxima over the ready jobs, of one scheduler if it is given."""
        ...


class Growth(Protocol):
    """Jobs that come while a workflow runs."""

    def spawn(self, job: JobId, spawn: Spawn) -> Spawned:
        """Add jobs in the name of a running one (`engine.md` §11). The same call again writes nothing.

        Raises
        ------
        Invalid
            The sentence names the job, the lineage or the name that is in the way.
        """
        ...


class Operations(Protocol):
    """Long verbs that a client does not wait for (`engine.md` §12)."""

    def begin(self, workflow: WorkflowId, name: str, options: Mapping[str, Json]) -> tuple[Operation, bool]:
        """Queue an operation, and whether it is new; the same request while it runs is the same operation.

        Raises
        ------
        Conflict
            While a different one runs; `details` of the error name it.
        """
        ...

    def carry_out(self, operation: OperationId) -> Operation:
        """Do a queued operation, or one that a crash interrupted, and record how it ended."""
        ...

    def active_operation(self, workflow: WorkflowId) -> Operation | None:
        """The queued or running one."""
        ...


class Actions(Protocol):
    """Things to do at moments of a workflow (`engine.md` §10)."""

    def due_actions(self, workflow: WorkflowId, triggers: Sequence[str] = ()) -> Sequence[Action]:
        """Actions that have fired and are not executed, or are persistent, of these trigger types (none: of all)."""
        ...

    def claim_action(self, action: ActionId, claim_id: str | None, node: NodeId | None) -> ActionClaim:
        """Take the firing of an action in the current run; `claim_id` None: a published client, which never reports.

        Raises
        ------
        Conflict
            If somebody else has it, or it has been executed.
        """
        ...

    def step_action(self, action: ActionId, claim_id: str, step: int) -> ActionRun:
        """Record that command number `step` (from 1) is about to be run."""
        ...

    def end_action(self, action: ActionId, claim_id: str, ok: bool, message: str | None = None) -> ActionRun:
        """Record how it went: done or failed."""
        ...

    def release_action(self, action: ActionId, claim_id: str) -> ActionRun:
        """Give it back undone: triggered again."""
        ...

    def rearm_action(self, action: ActionId) -> ActionRun:
        """Put a failed firing back to triggered, by a person's word."""
        ...


class Nodes(Protocol):
    """What is known of runners besides what they say themselves (`engine.md` §15)."""

    def drain(self, node: NodeId, on: bool, reason: str | None = None) -> Node:
        """Give a node no further jobs, or again."""
        ...

    def bury(self, node: NodeId, evidence: str, detail: str = "") -> Progress:
        """Take it that a node is dead: proof of death (`engine.md` §15.3, §15.7).

        Parameters
        ----------
        evidence
            `stopped`, `allocation_ended`, `boot_id` or `process_gone`.
        """
        ...

    def recovered(self, node: NodeId, epoch: str, held: Held, ok: bool) -> Verdict:
        """A recovery script has ended (`engine.md` §9, step 4)."""
        ...

    def reconcile(self, workflow: WorkflowId, endings: Sequence[Ending]) -> Sequence[Verdict]:
        """Results that a runner left in its spool, each judged as if the runner had sent it (`engine.md` §15.4)."""
        ...

    def close_node(self, node: NodeId, usage: Usage | None = None) -> Node:
        """A node of a published client has gone: what it claimed and never started is ready again."""
        ...

    def sweep(self, *, keep_days: int = 0, keep_job_events: int = 0, keep_audit_days: int = 0) -> int | None:
        """Let time pass in the store: leases, claims by hand, delayed retries, retention (`engine.md` §13, §15.3).

        Parameters
        ----------
        keep_days
            Events are kept for so many days; 0: for ever.
        keep_job_events
            So many `job_*` events are kept of each workflow; 0: all.
        keep_audit_days
            Audit entries are kept for so many days; 0: for ever.

        Returns
        -------
        int | None
            Milliseconds since 1970 of the next delayed retry; None: none waits.
        """
        ...

    def renew_leases(self) -> None:
        """Every lease begins anew: the server was away (`engine.md` §15.3)."""
        ...


class Allocations(Protocol):
    """Allocations of a batch system, told by those who ask for them (`engine.md` §15.5, `slurm.md` §3)."""

    def intend(
        self, workflow: WorkflowId, request_id: str, scheduler: SchedulerId, count: int, nodes: int
    ) -> Sequence[Allocation]:
        """Write intents without an action; the same `request_id` again gives the same ones, and is their first holder."""
        ...

    def take_intents(
        self, workflow: WorkflowId, holder: str, instead: str | None = None
    ) -> Sequence[Allocation]:
        """Take what is intended, belongs to no action that is carried out, and is in nobody's hands, to submit it.

        The holder has them for two minutes from his last call on.

        Parameters
        ----------
        instead
            Another holder, who is known to be dead.
        """
        ...

    def submitted(self, allocation: AllocationId, submission_key: str, scheduler_id: str) -> Allocation:
        """The batch system has taken it and calls it so. Idempotent."""
        ...

    def refused(self, allocation: AllocationId, message: str) -> Allocation:
        """The batch system does not want it."""
        ...

    def withdrawn(self, allocation: AllocationId, reason: str) -> Allocation:
        """It was called off before it ran."""
        ...

    def allocation_ended(self, allocation: AllocationId, state: str, evidence: str) -> Allocation:
        """The batch system says that it is over: proof of death for its nodes."""
        ...

    def replan(self, workflow: WorkflowId, plan: Replan) -> Sequence[Allocation]:
        """Write what a planner decided, in one transaction; the intents."""
        ...


class Permissions(Protocol):
    """Who may use which workflow (`engine.md` §16, `security.md` §5)."""

    def access(self, user: str, workflow: WorkflowId) -> Access:
        """How far a user may go with a workflow, and by which rule; members of the system group may everything."""
        ...

    def readable(self, user: str) -> Sequence[WorkflowId] | None:
        """The workflows that a user may read; None: all."""
        ...

    def owner_of(self, kind: type[R], ids: Sequence[int]) -> Sequence[WorkflowId]:
        """The workflows that records belong to, in the order of their ids, for checks before anything is done.

        Raises
        ------
        NotFound
            If one is not there.
        """
        ...

    def set_admins(self, users: Sequence[str]) -> None:
        """Fill the system group `admin` with exactly these."""
        ...


class Transfer(Protocol):
    """Workflows that leave a store and come into another one (`engine.md` §17)."""

    def export_workflow(
        self, workflow: WorkflowId, *, results: bool = True, events: bool = False, compact: bool = False
    ) -> Mapping[str, Json]:
        """All of a workflow as a document."""
        ...

    def import_workflow(
        self, document: Mapping[str, Json], user: str, *, keep_status: bool = False
    ) -> Workflow:
        """A workflow from such a document, in one transaction; ids are new."""
        ...


class Store(
    Catalog,
    Control,
    Looking,
    Runs,
    Growth,
    Queue,
    Operations,
    Actions,
    Nodes,
    Allocations,
    Permissions,
    Transfer,
    Protocol,
):
    """Where workflows live."""

    def close(self) -> None:
        """Let go of files and connections."""
        ...


@runtime_checkable
class Shared(Protocol):
    """A store in this process that other processes can only reach through us."""

    def publish(self, address: Mapping[str, str]) -> None:
        """Tell other processes on this host where the store is served."""
        ...


@runtime_checkable
class Listening(Protocol):
    """A store in this process that tells what it has committed."""

    def listen(self, callback: Callable[[Sequence[Event]], None]) -> None:
        """Call `callback` after each commit that stored events, with all of them, outside of any lock or transaction.

        Called at most once per store and only when somebody listens; `callback` never raises.
        """
        ...


@runtime_checkable
class Embedded(Protocol):
    """A store in this process, as those need it who serve it to others."""

    def together(self, first: Callable[[], None] | None = None) -> AbstractContextManager[None]:
        """What this thread does in the block is one transaction: all of it, or, after an exception, nothing.

        It need not begin before the store is asked for something, and a large plan that is the first thing asked for
        is written before it begins, seen by nobody.

        Parameters
        ----------
        first
            Called as soon as it has begun.
        """
        ...

    def try_turn(self, turn: Turn, *, again: bool = False) -> tuple[Orders, bool]:
        """A turn that is answered at once, and whether the answer says anything new; never held.

        Parameters
        ----------
        again
            It waits, and is looked at once more: that is no sign of life, and a node that is lost gets nothing.
        """
        ...

    def on_wake(self, callback: Callable[[Collection[WorkflowId]], None]) -> None:
        """Call `callback` after each commit that those should look at who wait for work, outside of any lock."""
        ...

    def kept(self, principal: str, route: str, key: str) -> Kept | None:
        """The answer that was kept under an idempotency key in the last 24 hours."""
        ...

    def keep(self, answer: Kept) -> None:
        """Keep an answer under its key; inside of `together`, with what it answers to."""
        ...

    def repair(self) -> Sequence[WorkflowId]:
        """Recount what is counted beside the jobs of workflows with open jobs (`engine.md` §18); those that differed."""
        ...
