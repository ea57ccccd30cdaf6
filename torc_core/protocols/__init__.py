"""What a plugin must be able to do, one protocol per role."""

from __future__ import annotations

from torc_core.protocols.batch import Batch, LostJob, Outlook, Synced, Tended, Withdrawn
from torc_core.protocols.clock import Clock
from torc_core.protocols.distant import Distant, Hello, LogPiece
from torc_core.protocols.launch import AllocationState, Launcher, LaunchRequest
from torc_core.protocols.looking import Looking
from torc_core.protocols.monitor import Monitor, NodeSample, Sample
from torc_core.protocols.process import Executor, Exit, Guarding, Limiting, Locating, Queueing, Task, Will
from torc_core.protocols.serve import Admitting, Server
from torc_core.protocols.store import (
    Actions,
    Allocations,
    Catalog,
    Control,
    Embedded,
    Growth,
    Listening,
    Nodes,
    Operations,
    Permissions,
    Queue,
    Runs,
    Shared,
    Store,
    Transfer,
)

__all__ = [
    "Actions",
    "Admitting",
    "AllocationState",
    "Allocations",
    "Batch",
    "Catalog",
    "Clock",
    "Control",
    "Distant",
    "Embedded",
    "Executor",
    "Exit",
    "Growth",
    "Guarding",
    "Hello",
    "LaunchRequest",
    "Launcher",
    "Limiting",
    "Listening",
    "Locating",
    "LogPiece",
    "Looking",
    "LostJob",
    "Monitor",
    "NodeSample",
    "Nodes",
    "Operations",
    "Outlook",
    "Permissions",
    "Queue",
    "Queueing",
    "Runs",
    "Sample",
    "Server",
    "Shared",
    "Store",
    "Synced",
    "Task",
    "Tended",
    "Transfer",
    "Will",
    "Withdrawn",
]
