"""Ids, each of its own type, so that a job's can never be taken for a node's."""

from __future__ import annotations

from typing import NewType

WorkflowId = NewType("WorkflowId", int)
JobId = NewType("JobId", int)
FileId = NewType("FileId", int)
UserDataId = NewType("UserDataId", int)
RequirementId = NewType("RequirementId", int)
HandlerId = NewType("HandlerId", int)
SchedulerId = NewType("SchedulerId", int)
ActionId = NewType("ActionId", int)
NodeId = NewType("NodeId", int)
ResultId = NewType("ResultId", int)
EventId = NewType("EventId", int)
LocalSchedulerId = NewType("LocalSchedulerId", int)
ActionRunId = NewType("ActionRunId", int)
AllocationId = NewType("AllocationId", int)
OperationId = NewType("OperationId", int)
SlurmStatsId = NewType("SlurmStatsId", int)
EntityId = NewType("EntityId", int)
RemoteWorkerId = NewType("RemoteWorkerId", int)
GroupId = NewType("GroupId", int)
MembershipId = NewType("MembershipId", int)
GroupLinkId = NewType("GroupLinkId", int)
AuditId = NewType("AuditId", int)
TokenId = NewType("TokenId", int)
