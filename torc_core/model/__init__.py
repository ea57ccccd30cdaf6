"""The nouns of torc. Pure values: nothing here opens a file, a socket or a clock."""

from __future__ import annotations

from torc_core.model.access import (
    KEPT_FOR,
    Access,
    AccessGroup,
    AuditEntry,
    GroupLink,
    Kept,
    Membership,
    Token,
)
from torc_core.model.action import ACTION_TYPES, TRIGGERS, Action, ActionClaim, ActionRun, ActionState
from torc_core.model.allocation import (
    Allocation,
    AllocationStatus,
    Intent,
    Replan,
    RunningJob,
    SlurmCorrelation,
    SlurmStats,
    Waiting,
)
from torc_core.model.artifact import (
    File,
    Fingerprint,
    JobDependency,
    JobFile,
    JobRelations,
    JobUserData,
    UserData,
)
from torc_core.model.clearing import CLEAR, Clear
from torc_core.model.event import EVENTS, MANY_EQUAL, OF_COMMANDS, Event, Severity
from torc_core.model.ids import (
    ActionId,
    ActionRunId,
    AllocationId,
    AuditId,
    EntityId,
    EventId,
    FileId,
    GroupId,
    GroupLinkId,
    HandlerId,
    JobId,
    LocalSchedulerId,
    MembershipId,
    NodeId,
    OperationId,
    RemoteWorkerId,
    RequirementId,
    ResultId,
    SchedulerId,
    SlurmStatsId,
    TokenId,
    UserDataId,
    WorkflowId,
)
from torc_core.model.job import Job, NewJob, Requirement, Shape
from torc_core.model.node import NewNode, Node, NodeState, Usage
from torc_core.model.operation import Operation, OperationStatus
from torc_core.model.plan import (
    InputKind,
    Json,
    Plan,
    PlannedAction,
    PlannedFile,
    PlannedHandler,
    PlannedInput,
    PlannedJob,
    PlannedRequirement,
    PlannedScheduler,
    PlannedUserData,
    PlannedWorkflow,
    Source,
    user_data_mark,
    with_user_data_ids,
)
from torc_core.model.provenance import RoCrateEntity
from torc_core.model.query import Page, Query, Value
from torc_core.model.recovering import Adjustment, RecoveryPlan
from torc_core.model.reset import ChangedJob, Inputs, ReadyNeeds, Renewed, Reset
from torc_core.model.resources import Resources
from torc_core.model.result import Ending, JobUsage, Result
from torc_core.model.spawn import Spawn, Spawned, SpawnJob
from torc_core.model.standing import Standing
from torc_core.model.status import BAD, ENDED, LIVE, OPEN, JobStatus
from torc_core.model.turn import (
    Assignment,
    Beat,
    Held,
    Offer,
    Orders,
    Output,
    Progress,
    Recovery,
    Turn,
    Verdict,
)
from torc_core.model.worker import RemoteWorker
from torc_core.model.workflow import (
    FailureHandler,
    Initialize,
    LocalScheduler,
    SlurmScheduler,
    Stage,
    Totals,
    Workflow,
)

__all__ = [
    "ACTION_TYPES", "BAD", "CLEAR", "ENDED", "EVENTS", "KEPT_FOR", "LIVE", "MANY_EQUAL", "OF_COMMANDS", "OPEN", "TRIGGERS",
    "Access", "AccessGroup", "Action", "ActionClaim", "ActionId", "ActionRun", "ActionRunId", "ActionState",
    "Adjustment", "Allocation", "AllocationId", "AllocationStatus", "Assignment", "AuditEntry", "AuditId", "Beat", "ChangedJob", "Clear",
    "Ending", "EntityId", "Event", "EventId", "FailureHandler", "File", "FileId", "Fingerprint", "GroupId", "GroupLink",
    "GroupLinkId", "HandlerId", "Held", "Initialize", "InputKind", "Inputs", "Intent", "Job", "JobDependency", "JobFile",
    "JobId", "JobRelations", "JobStatus", "JobUsage", "JobUserData", "Json", "Kept", "LocalScheduler", "LocalSchedulerId",
    "Membership", "MembershipId", "NewJob", "NewNode", "Node", "NodeId", "NodeState", "Offer", "Operation",
    "OperationId", "OperationStatus", "Orders", "Output", "Page", "Plan", "PlannedAction", "PlannedFile",
    "PlannedHandler", "PlannedInput", "PlannedJob", "PlannedRequirement", "PlannedScheduler", "PlannedUserData",
    "PlannedWorkflow", "Progress", "Query", "ReadyNeeds", "Recovery", "RecoveryPlan", "RemoteWorker", "RemoteWorkerId", "Renewed",
    "Replan", "Requirement", "RequirementId", "Reset", "Resources", "Result", "ResultId", "RoCrateEntity", "RunningJob",
    "SchedulerId", "Severity", "Shape", "SlurmCorrelation", "SlurmScheduler", "SlurmStats", "SlurmStatsId", "Source",
    "Spawn", "SpawnJob", "Spawned", "Stage", "Standing", "Token", "TokenId", "Totals", "Turn", "Usage", "UserData", "UserDataId", "Value",
    "Verdict", "Waiting", "Workflow", "WorkflowId",
    "user_data_mark", "with_user_data_ids",
]  # fmt: skip
