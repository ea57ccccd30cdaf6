"""The nouns of torc. Pure values: nothing here opens a file, a socket or a clock."""

from __future__ import annotations

from torc_core.model.artifact import File, Fingerprint, JobDependency, JobFile, JobUserData, UserData
from torc_core.model.event import EVENTS, MANY_EQUAL, Event, Severity
from torc_core.model.ids import (
    ActionId,
    EventId,
    FileId,
    HandlerId,
    JobId,
    NodeId,
    RequirementId,
    ResultId,
    SchedulerId,
    UserDataId,
    WorkflowId,
)
from torc_core.model.job import Job, NewJob, Requirement, Shape
from torc_core.model.node import NewNode, Node, Usage
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
from torc_core.model.query import Page, Query, Value
from torc_core.model.resources import Resources
from torc_core.model.result import Ending, JobUsage, Result
from torc_core.model.status import BAD, ENDED, LIVE, OPEN, JobStatus
from torc_core.model.turn import Assignment, Beat, Held, Offer, Orders, Output, Progress, Turn, Verdict
from torc_core.model.workflow import Action, FailureHandler, Initialize, SlurmScheduler, Totals, Workflow

__all__ = [
    "BAD", "ENDED", "EVENTS", "LIVE", "MANY_EQUAL", "OPEN",
    "Action", "ActionId", "Assignment", "Beat", "Ending", "Event", "EventId", "FailureHandler", "File", "FileId",
    "Fingerprint", "HandlerId", "Held", "Initialize", "InputKind", "Job", "JobDependency", "JobFile", "JobId", "JobStatus",
    "JobUsage", "JobUserData", "Json", "NewJob", "NewNode", "Node", "NodeId", "Offer", "Orders", "Output", "Page",
    "Plan", "PlannedAction", "PlannedFile", "PlannedHandler", "PlannedInput", "PlannedJob", "PlannedRequirement",
    "PlannedScheduler", "PlannedUserData", "PlannedWorkflow", "Progress", "Query", "Requirement", "RequirementId",
    "Resources", "Result", "ResultId", "SchedulerId", "Severity", "Shape", "SlurmScheduler", "Source", "Totals",
    "Turn", "Usage", "UserData", "UserDataId", "Value", "Verdict", "Workflow", "WorkflowId",
    "user_data_mark", "with_user_data_ids",
]  # fmt: skip
