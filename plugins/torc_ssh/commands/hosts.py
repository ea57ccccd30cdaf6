"""The machines of a workflow as one fleet: connected once, asked in parallel, told in the order of the list."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Annotated, Self, TypeVar

from cyclopts import Parameter

from torc_core.engine.addresses import parse
from torc_core.errors import NotFound, TorcError, UsageError, did_you_mean
from torc_core.model import Json, Query, RemoteWorker, WorkflowId
from torc_core.record import record
from torc_core.session import Session
from torc_ssh.commands.calling import Agent, HostTrouble
from torc_ssh.connection import Connection, Connector, open_connector
from torc_ssh.fleet import Outcome, over, waiting
from torc_ssh.settings import MOST_HOSTS_AT_ONCE, remote_settings
from torc_ssh.trouble import Unreachable

R = TypeVar("R")


@Parameter(name="*")
@record(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which machines, and how they are reached.

    Parameters
    ----------
    max_parallel_ssh
        At most so many machines at once; normally 10.
    hosts
        Only these machines, with commas.
    """

    max_parallel_ssh: int | None = None
    hosts: str | None = None

    def parallel(self, session: Session) -> int:
        """How many machines at once.

        Raises
        ------
        UsageError
            If it is out of range.
        """
        number = session.config.client.remote.max_parallel_ssh
        number = number if self.max_parallel_ssh is None else self.max_parallel_ssh
        if not 1 <= number <= MOST_HOSTS_AT_ONCE:
            raise UsageError(f"--max-parallel-ssh '{number}' is out of range; give 1 to {MOST_HOSTS_AT_ONCE}")
        return number


OutputDir = Annotated[str | None, Parameter(name=["--output-dir", "-o"])]


def stored(session: Session, workflow: WorkflowId) -> Sequence[RemoteWorker]:
    """The workers of a workflow, in the order in which they were added."""
    found = session.store().find(RemoteWorker, Query(workflow=workflow, limit=2**31)).items
    return sorted(found, key=lambda one: one.id)


def selected(
    workers: Sequence[RemoteWorker], hosts: str | None, exclude: str | None = None
) -> Sequence[RemoteWorker]:
    """Those that `--hosts` and `--exclude` leave.

    Raises
    ------
    NotFound
        If one that is named is not there.
    """
    wanted = None if hosts is None else {matching(workers, text).id for text in _split(hosts)}
    unwanted = {matching(workers, text).id for text in _split(exclude or "")}
    return [one for one in workers if (wanted is None or one.id in wanted) and one.id not in unwanted]


def matching(workers: Sequence[RemoteWorker], text: str) -> RemoteWorker:
    """The worker with this address, or on this host.

    Raises
    ------
    NotFound
        If there is none; the sentence lists those that there are.
    """
    try:
        address = parse(text.strip())
    except TorcError:
        address = None
    for one in workers:
        if address is not None and one.worker == address.text:
            return one
    bare = None if address is None or address.user or address.port else address.host
    for one in workers:
        if bare is not None and parse(one.worker).host == bare:
            return one
    known = [one.worker for one in workers]
    there = f"stored: {', '.join(known)}" if known else "there are none"
    raise NotFound(f"no worker '{text.strip()}' in this workflow{did_you_mean(text, known)} ({there})")


def remembered(worker: RemoteWorker, name: str) -> str | None:
    """A value of the last start of a worker."""
    value = (worker.options or {}).get(name)
    return value if isinstance(value, str) else None


def output_dir(session: Session, worker: RemoteWorker, given: str | None) -> str:
    """Where the files of a worker are: as given, as at its last start, as configured."""
    return given or remembered(worker, "output_dir") or session.config.client.remote.output_dir


def _split(text: str) -> Sequence[str]:
    return [part for part in (one.strip() for one in text.split(",")) if part]


class Host:
    """One machine; its connection is made when it is needed, and again when it was lost."""

    def __init__(self, fleet: Fleet, worker: RemoteWorker) -> None:
        self._fleet = fleet
        self.worker = worker
        self._connection: Connection | None = None

    @property
    def name(self) -> str:
        """As messages name it."""
        return self.worker.worker

    def connect(self) -> Connection:
        """Connect, if it is not connected.

        Raises
        ------
        Unreachable
            With the cause.
        """
        if self._connection is not None and self._connection.alive:
            return self._connection
        self.close()
        self._connection = self._fleet.connection(self.worker)
        with waiting():
            self._connection.connect()
        return self._connection

    def agent(self) -> Agent:
        """Its agent; raises as `connect`."""
        return Agent(self.connect(), self.name, self._fleet.torc_command)

    def ask(self, action: str, request: Mapping[str, Json], deadline: float | None = None) -> dict[str, Json]:
        """Ask its agent; raises as `connect` and `Agent.ask`."""
        return self.agent().ask(action, request, deadline)

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Fleet:
    """Machines, connected to as long as the block lasts.

    Parameters
    ----------
    parallel
        At most so many at once.
    timeout
        Seconds to connect; None: as configured.
    """

    def __init__(
        self,
        session: Session,
        workers: Sequence[RemoteWorker],
        *,
        parallel: int,
        timeout: float | None = None,
    ) -> None:
        self._session = session
        self._parallel = parallel
        self._timeout = timeout
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._connector: Connector | None = None
        self.torc_command = session.config.client.remote.torc_command
        self.hosts = [Host(self, worker) for worker in workers]

    def __enter__(self) -> Self:
        connector = open_connector(remote_settings(self._session.config), self._note)
        self._connector = self._stack.enter_context(connector)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def connector(self) -> Connector:
        """What connects."""
        assert self._connector is not None, "only inside of the block"
        return self._connector

    def connection(self, worker: RemoteWorker) -> Connection:
        """A new connection to the machine of a worker, not yet connected."""
        return self.connector.connection(parse(worker.worker), timeout=self._timeout)

    def over(
        self, act: Callable[[Host], R], doing: str, first: Callable[[Host], float] | None = None
    ) -> list[Outcome[Host, R]]:
        """Do something with each machine; outcomes in the order of the list.

        Parameters
        ----------
        doing
            For the line of progress.
        first
            As that of `fleet.over`.
        """
        progress = self._progress(doing) if self._session.progress and len(self.hosts) > 1 else None
        try:
            return over(self.hosts, act, parallel=self._parallel, progress=progress, first=first)
        finally:
            if progress is not None:
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _progress(self, doing: str) -> Callable[[int, int], None]:
        def show(done: int, total: int) -> None:
            print(f"\r\x1b[K{doing} {done}/{total} …", end="", file=sys.stderr, flush=True)

        return show

    def _note(self, text: str) -> None:
        with self._lock:
            self._session.note(f"note: {text}")


def trouble(error: TorcError | None) -> str:
    """What went wrong with a machine, in words."""
    return "" if error is None else str(error)


def status_of(error: TorcError | None) -> str:
    """`unreachable` or `failed` for programs."""
    if isinstance(error, Unreachable):
        return "unreachable"
    return "refused" if isinstance(error, HostTrouble) and error.kind == "refused" else "failed"


def told(session: Session, lines: Sequence[str]) -> None:
    """Say lines about machines on standard error."""
    for line in lines:
        session.note(line)
