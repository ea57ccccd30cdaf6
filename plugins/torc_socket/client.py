"""A store that lives in another process of this host, reached through its Unix socket."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

from torc_core import __version__
from torc_core.errors import Unavailable, Unreached
from torc_core.model import (
    Assignment,
    Ending,
    File,
    Initialize,
    Job,
    JobId,
    NewJob,
    NewNode,
    Node,
    NodeId,
    Offer,
    Orders,
    Page,
    Plan,
    Progress,
    Query,
    Totals,
    Turn,
    Usage,
    UserData,
    Verdict,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_socket.place import check_private
from torc_socket.settings import SocketStoreSettings
from torc_socket.wire import PROTOCOL, Closed, is_us, raised, receive, send

R = TypeVar("R")

REPEATABLE = frozenset(
    {
        "server_id", "get", "find", "totals", "required_files", "missing_user_data",
        "join", "turn", "leave", "claim", "start", "finish", "cancel", "drain", "bury", "reconcile", "close_node",
        "sweep", "renew_leases", "intend", "submitted", "refused", "withdrawn", "allocation_ended", "relations",
        "inspect", "ready_needs", "archive",
    }
)  # fmt: skip
"""Calls that may be made twice with the effect of one (`engine.md` §7-8); others are never repeated by themselves."""

VERBS = frozenset(name for name in dir(Store) if not name.startswith("_")) - {"close"}
"""What a store can do; verbs that no runner and no everyday command needs are passed on as they are called."""


class SocketStore:
    """The `Store` protocol over a Unix socket; any number of threads, a connection for each call under way.

    Raises
    ------
    Unavailable
        If nobody answers within the settings' patience, or another user's process would.
    """

    def __init__(self, path: str, settings: SocketStoreSettings) -> None:
        self._path = Path(path)
        self._patience = settings.patience
        self._lock = threading.Lock()
        self._idle = [self._connect()]

    @property
    def server_id(self) -> str:
        """Which store this is."""
        return cast("str", self._call("server_id"))

    def join(self, node: NewNode) -> Node:
        """Register a runner."""
        return cast("Node", self._call("join", node))

    def turn(self, turn: Turn) -> Orders:
        """Endings, starts, give-back, beat, claim."""
        return cast("Orders", self._call("turn", turn))

    def leave(self, node: NodeId, usage: Usage | None) -> None:
        """The runner goes."""
        self._call("leave", node, usage)

    def get(self, kind: type[R], id: int) -> R:
        """One record."""
        return cast("R", self._call("get", kind, id))

    def find(self, kind: type[R], query: Query) -> Page[R]:
        """Records of a kind, a page of them."""
        return cast("Page[R]", self._call("find", kind, query))

    def add(self, records: Sequence[R]) -> Sequence[R]:
        """Add records."""
        return cast("Sequence[R]", self._call("add", records))

    def change(self, kind: type[R], id: int, fields: Mapping[str, object]) -> R:
        """Change fields of a record."""
        return cast("R", self._call("change", kind, id, fields))

    def remove(self, kind: type[R], ids: Sequence[int]) -> int:
        """Remove records."""
        return cast("int", self._call("remove", kind, ids))

    def create(self, plan: Plan, user: str) -> Workflow:
        """Create all of a plan, or nothing."""
        return cast("Workflow", self._call("create", plan, user))

    def add_jobs(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Add jobs to one workflow."""
        return cast("Sequence[Job]", self._call("add_jobs", jobs))

    def totals(self, workflows: Sequence[WorkflowId]) -> Sequence[Totals]:
        """How far workflows are."""
        return cast("Sequence[Totals]", self._call("totals", workflows))

    def required_files(self, workflow: WorkflowId) -> Sequence[File]:
        """Files that have to exist."""
        return cast("Sequence[File]", self._call("required_files", workflow))

    def missing_user_data(self, workflow: WorkflowId) -> Sequence[UserData]:
        """User data that nobody gives."""
        return cast("Sequence[UserData]", self._call("missing_user_data", workflow))

    def initialize(self, workflow: WorkflowId, how: Initialize) -> Progress:
        """Start a new run."""
        return cast("Progress", self._call("initialize", workflow, how))

    def claim(self, workflow: WorkflowId, offer: Offer) -> Sequence[Assignment]:
        """Take ready jobs without being a node."""
        return cast("Sequence[Assignment]", self._call("claim", workflow, offer))

    def start(self, job: JobId, run_id: int, node: NodeId | None) -> Verdict:
        """An unfenced start."""
        return cast("Verdict", self._call("start", job, run_id, node))

    def finish(self, workflow: WorkflowId, endings: Sequence[Ending]) -> Sequence[Verdict]:
        """Record endings."""
        return cast("Sequence[Verdict]", self._call("finish", workflow, endings))

    def resume(self, workflow: WorkflowId, dead: Sequence[NodeId]) -> Progress:
        """Make ready again what dead runners left behind."""
        return cast("Progress", self._call("resume", workflow, dead))

    def cancel(self, workflow: WorkflowId, reason: str | None = None) -> Progress:
        """Cancel a workflow."""
        return cast("Progress", self._call("cancel", workflow, reason))

    def stop(self, jobs: Sequence[JobId], *, terminate: bool = False, reason: str | None = None) -> Progress:
        """Cancel or terminate single jobs."""
        return cast("Progress", self._call("stop", jobs, terminate=terminate, reason=reason))

    def delete(self, workflow: WorkflowId, *, force: bool = False) -> None:
        """Delete a workflow and all that belongs to it."""
        self._call("delete", workflow, force=force)

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _call(self, name: str, *args: object, **named: object) -> Any:
        request = {"call": name, "args": list(args), "named": named}
        for last in (False, True):
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self._connect()
            sent = False
            try:
                send(connection, request)
                sent = True
                answer = receive(connection)
            except (Closed, OSError, ValueError) as error:
                connection.close()
                # NOTE: a request that was not sent whole is not executed, so that any may be sent again.
                if last or (sent and name not in REPEATABLE):
                    raise Unavailable(self._gone(error)) from error
                continue
            except BaseException:
                connection.close()  # interrupted: to whom the next answer on it belongs, nobody knows
                raise
            with self._lock:
                self._idle.append(connection)
            if "error" in answer:
                raise raised(answer)
            return answer["value"]
        raise AssertionError("unreachable: the second attempt returns or raises")

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            check_private(self._path.parent)
            connection.settimeout(self._patience)
            connection.connect(os.fspath(self._path))
            if not is_us(connection):
                raise Unavailable(f"the process behind '{self._path}' belongs to another user")
            hello = receive(connection, 4096)
            if hello["protocol"] != PROTOCOL:
                raise Unavailable(
                    f"the process {hello['pid']} that owns the database runs torc {hello['torc']}, "
                    f"this is torc {__version__}; use the same version, or wait until it has ended"
                )
            connection.settimeout(None)
        except Unavailable:
            connection.close()
            raise
        except (Closed, OSError, ValueError, KeyError, TypeError) as error:
            connection.close()
            raise Unreached(self._gone(error)) from error
        return connection

    def _gone(self, error: Exception) -> str:
        why = getattr(error, "strerror", None) or str(error) or "it has hung up"
        return f"the process that owns the store does not answer at '{self._path}': {why}"


def _passed_on(name: str) -> Callable[..., Any]:
    """A verb that is passed on as it is called."""

    @wraps(getattr(Store, name))
    def verb(self: SocketStore, *args: object, **named: object) -> Any:
        return self._call(name, *args, **named)

    return verb


for _name in VERBS - vars(SocketStore).keys():
    setattr(SocketStore, _name, _passed_on(_name))
