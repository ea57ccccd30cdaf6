"""What each call on a store needs, and each kind of record: the table by which `Guarded` decides (`security.md` §5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torc_core.model import (
    AccessGroup,
    Action,
    ActionRun,
    Allocation,
    AuditEntry,
    Event,
    FailureHandler,
    File,
    GroupLink,
    Job,
    JobDependency,
    JobFile,
    JobUserData,
    LocalScheduler,
    Membership,
    Node,
    Operation,
    RemoteWorker,
    Requirement,
    Result,
    RoCrateEntity,
    RunningJob,
    SlurmCorrelation,
    SlurmScheduler,
    SlurmStats,
    Token,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_core.record import record
from torc_core.store.principal import ORDER, Right

READ, EDIT, RUN, OPERATE, OWN, USER, ADMIN = (*ORDER, Right.USER, Right.ADMIN)

Named = tuple[type[Any], Sequence[int]]
"""A kind of record and ids of it."""


@record(frozen=True, slots=True)
class Verb:
    """What a call needs.

    Parameters
    ----------
    right
        On the workflow that it is about.
    about
        What tells the workflow, of the arguments of the call.
    inside
        Further records named in the arguments; they have to be of the same workflow. Those that are not there at all
        are left to the store.
    """

    right: Right
    about: Callable[..., Named]
    inside: Callable[..., Iterable[Named]] = lambda *args, **named: ()


def _workflow(workflow: WorkflowId, *args: Any, **named: Any) -> Named:
    return Workflow, (workflow,)


def _first(kind: type[Any]) -> Callable[..., Named]:
    return lambda one, *args, **named: (kind, (one,))


def _turned(turn: Any) -> Iterable[Named]:
    beat = (*turn.beat.held, *turn.beat.running) if turn.beat else ()
    yield Job, [one.job for one in (*turn.endings, *turn.starts, *turn.give_back, *beat)]


def _replanned(workflow: WorkflowId, plan: Any) -> Iterable[Named]:
    yield Job, [job for jobs in plan.assign.values() for job in jobs]
    yield Job, [job for action in plan.actions for job in action.jobs]
    yield Action, plan.retire


def _recovered(workflow: WorkflowId, plan: Any) -> Iterable[Named]:
    yield Job, plan.jobs
    yield Job, [job for one in plan.adjustments for job in one.jobs]


def _tied(record: Any, consumer: int | None = None, producer: int | None = None) -> Iterable[Named]:
    yield Job, [job for job in (consumer, producer) if job is not None]


def _nodes(job: Any, what: Any, node: int | None) -> Iterable[Named]:
    yield Node, [node] if node else []


def _ended(workflow: WorkflowId, endings: Any) -> Iterable[Named]:
    yield Job, [one.job for one in endings]


def _of_turn(turn: Any) -> Named:
    return Node, (turn.node,)


_NODE, _JOB, _ACTION, _ALLOCATION = map(_first, (Node, Job, Action, Allocation))

VERBS: Mapping[str, Verb] = {
    "join": Verb(RUN, lambda node: (Workflow, (node.workflow_id,))),
    "turn": Verb(RUN, _of_turn, _turned),
    "try_turn": Verb(RUN, _of_turn, _turned),
    "leave": Verb(RUN, _NODE),
    "add_user_data": Verb(EDIT, lambda record, **named: (Workflow, (record.workflow_id,)), _tied),
    "required_files": Verb(READ, _workflow),
    "stages": Verb(READ, _workflow),
    "standing": Verb(READ, _workflow),
    "used": Verb(READ, _workflow),
    "sampled": Verb(READ, _workflow),
    "missing_user_data": Verb(READ, _workflow),
    "relations": Verb(READ, lambda jobs: (Job, jobs)),
    "claim": Verb(RUN, _workflow),
    "start": Verb(RUN, _JOB, _nodes),
    "finish": Verb(RUN, _workflow, _ended),
    "resume": Verb(RUN, _workflow, lambda workflow, dead: [(Node, dead)]),
    "cancel": Verb(OPERATE, _workflow),
    "stop": Verb(OPERATE, lambda jobs, **named: (Job, jobs)),
    "delete": Verb(OWN, _workflow),
    "initialize": Verb(OPERATE, _workflow),
    "inspect": Verb(READ, _workflow),
    "renew": Verb(OPERATE, _workflow),
    "reinitialize": Verb(OPERATE, _workflow),
    "changed_jobs": Verb(EDIT, _workflow),
    "reset": Verb(OPERATE, _workflow, lambda workflow, how: [(Job, how.jobs or ())]),
    "recover": Verb(OPERATE, _workflow, _recovered),
    "reset_workflow": Verb(OPERATE, _workflow),
    "set_run": Verb(OPERATE, _workflow),
    "archive": Verb(OPERATE, _workflow),
    "retry": Verb(RUN, _JOB),
    "move": Verb(RUN, _JOB),
    "ready_needs": Verb(READ, _workflow),
    "spawn": Verb(EDIT, _JOB),
    "begin": Verb(OPERATE, _workflow),
    "carry_out": Verb(OPERATE, _first(Operation)),
    "active_operation": Verb(READ, _workflow),
    "due_actions": Verb(READ, _workflow),
    "claim_action": Verb(RUN, _ACTION, _nodes),
    "step_action": Verb(RUN, _ACTION),
    "end_action": Verb(RUN, _ACTION),
    "release_action": Verb(RUN, _ACTION),
    "rearm_action": Verb(OPERATE, _ACTION),
    "drain": Verb(OPERATE, _NODE),
    "bury": Verb(RUN, _NODE),
    "recovered": Verb(RUN, _NODE, lambda node, epoch, held, ok: [(Job, [held.job])]),
    "reconcile": Verb(RUN, _workflow, _ended),
    "close_node": Verb(RUN, _NODE),
    "intend": Verb(RUN, _workflow, lambda workflow, request, scheduler, *counts: [(SlurmScheduler, [scheduler])]),
    "take_intents": Verb(RUN, _workflow),
    "submitted": Verb(RUN, _ALLOCATION),
    "refused": Verb(RUN, _ALLOCATION),
    "withdrawn": Verb(RUN, _ALLOCATION),
    "allocation_ended": Verb(RUN, _ALLOCATION),
    "replan": Verb(OPERATE, _workflow, _replanned),
    "export_workflow": Verb(READ, _workflow),
}  # fmt: skip
"""Calls about one workflow; the few others are methods of `Guarded`."""

FREE = ("server_id", "together", "kept", "keep", "close")
"""What needs no right: it tells and changes nothing that belongs to a workflow."""

NEVER = ("set_admins", "sweep", "renew_leases", "repair")
"""What only the server itself does."""


@record(frozen=True, slots=True, kw_only=True)
class Kind:
    """The rights that records of a kind need: to add them, to change them, to remove them; None: nobody may."""

    add: Right | None = None
    change: Right | None = None
    remove: Right | None = None


_EDITED = Kind(add=EDIT, change=EDIT, remove=EDIT)
_RUNNING = Kind(add=RUN, change=RUN, remove=RUN)
_SHOWN = NOBODYS = Kind()

KINDS: Mapping[type[Any], Kind] = {
    Workflow: Kind(change=OPERATE, remove=OWN),
    Job: _EDITED, File: _EDITED, UserData: _EDITED, Requirement: _EDITED, FailureHandler: _EDITED,
    SlurmScheduler: _EDITED, LocalScheduler: _EDITED, RoCrateEntity: _EDITED, Action: _EDITED, Event: _EDITED,
    Node: _RUNNING, Allocation: _RUNNING, SlurmStats: _RUNNING,
    Result: Kind(add=RUN, change=OWN, remove=OWN),
    RemoteWorker: Kind(add=OPERATE, change=OPERATE, remove=OPERATE),
    GroupLink: Kind(add=OWN, change=OWN, remove=OWN),
    ActionRun: _SHOWN, Operation: _SHOWN, RunningJob: _SHOWN, SlurmCorrelation: _SHOWN,
    JobDependency: _SHOWN, JobFile: _SHOWN, JobUserData: _SHOWN,
}  # fmt: skip
"""Records that belong to a workflow; all of them are read with `read`."""

OF_NO_WORKFLOW = (AccessGroup, Membership, Token, AuditEntry)

FIELDS_OF_OWNERS: Mapping[str, Right] = {"user": ADMIN, "capability_generation": OWN}
"""Fields of a workflow that need more than its other ones."""
