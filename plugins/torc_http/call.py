"""What a handler is given, and what it may give back when a plain value does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from torc_core.errors import Invalid
from torc_core.model import AuditEntry
from torc_core.protocols.store import Embedded
from torc_core.record import record
from torc_core.system import SystemClock

if TYPE_CHECKING:
    from torc_core.protocols import Clock, Store
    from torc_http.growth import Growth
    from torc_http.routes import Route

OBJECTS_SINCE = (0, 20, 0)
"""From this HTTP API on, clients want five fields as objects instead of as text (`wire.md` T14)."""


class Principal(Protocol):
    """Who calls (`security.md` §3.2)."""

    @property
    def kind(self) -> str:
        """What it is: `owner`, `user`, `token`, `job`, `workflow`, `runner`, `nobody`."""
        ...

    @property
    def name(self) -> str:
        """The user it acts as; the owner of what it creates."""
        ...

    @property
    def established(self) -> str:
        """How that is known."""
        ...

    @property
    def is_admin(self) -> bool:
        """Whether it may do everything on this server."""
        ...

    @property
    def identity(self) -> str:
        """What tells it from all others: two tokens of one user are two."""
        ...


class Gate(Protocol):
    """Finds out who calls."""

    @property
    def enforced(self) -> bool:
        """Whether workflows are kept apart by user at all."""
        ...

    @property
    def trusts_names(self) -> bool:
        """Whether nobody is known, so that the user in a body counts (`--auth none`)."""
        ...

    def admit(self, environ: MutableMapping[str, Any], route: Route) -> Principal:
        """Who calls; asked for every route that is not public.

        Raises
        ------
        Unauthorized, Forbidden
            Without a valid credential; from a foreign page.
        """
        ...

    def reload(self) -> int:
        """Read the password file again; how many users it has.

        Raises
        ------
        Invalid
            If there is none, or a line of it is wrong.
        """
        ...


@record(frozen=True, slots=True, kw_only=True)
class Owner:
    """The owner of the server, who may do everything on it."""

    kind: str = "owner"
    name: str = "owner"
    established: str = "open"
    is_admin: bool = True

    @property
    def identity(self) -> str:
        """What tells it from all others."""
        return f"{self.kind}:{self.name}"


NOBODY = Owner(kind="nobody", name="", established="", is_admin=False)
"""Who calls a public route."""


@record(frozen=True, slots=True, kw_only=True)
class Open:
    """A gate that takes everybody for the owner."""

    name: str = "owner"
    enforced: bool = False
    trusts_names: bool = True

    def admit(self, environ: MutableMapping[str, Any], route: Route) -> Principal:
        return Owner(name=self.name)

    def reload(self) -> int:
        raise Invalid("no password file is configured; start the server with --auth-file")


@record(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is more than a value with status 200.

    Parameters
    ----------
    raw
        Bytes to be sent as they are, instead of `body` as JSON; `content_type` says what they are.
    headers
        Further headers.
    """

    status: int = 200
    body: object = None
    raw: bytes | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] | None = None


@record(frozen=True, slots=True, kw_only=True)
class Call:
    """A request, read and checked.

    Parameters
    ----------
    store
        As far as the principal may use it.
    ids
        The path parameters: integers, or text.
    query
        Only what was sent, and the defaults of the schema.
    body
        As the schema of the route reads it.
    generation
        The HTTP API of a published client; empty for everybody else.
    peer
        The address of the other end, for logs.
    environ
        The WSGI environment, for routes that need more.
    """

    service: Service
    route: Route
    store: Store
    principal: Principal
    ids: Mapping[str, Any]
    query: Mapping[str, Any]
    body: Any = None
    generation: tuple[int, ...] = ()
    peer: str = ""
    request_id: str = ""
    environ: Mapping[str, Any]

    @property
    def id(self) -> Any:
        """The path parameter `id`."""
        return self.ids["id"]

    @property
    def identity(self) -> str:
        """What tells the caller from all others, for idempotency keys and the audit."""
        return self.principal.identity

    @property
    def clock(self) -> Clock:
        """Time and chance."""
        return self.service.clock

    @property
    def as_text(self) -> bool:
        """Whether the client wants the five fields of `wire.md` T14 as text."""
        return bool(self.generation) and self.generation < OBJECTS_SINCE

    def together(self) -> AbstractContextManager[None]:
        """What is done in the block is one transaction, where the store is in this process."""
        return together(self.service.store)

    def audit(self, operation: str, object: str, detail: str = "", outcome: str = "ok") -> None:
        """Write a security matter down: in the store, and in the log."""
        from torc_http.auth.audit import log_entry

        entry = AuditEntry(
            timestamp=self.clock.now(), operation=operation, principal=self.identity, established=self.principal.established, peer=self.peer, object=object,
            outcome=outcome, detail=detail, request_id=self.request_id,
        )  # fmt: skip
        log_entry(entry)
        self.service.store.add([entry])


def together(store: Store) -> AbstractContextManager[None]:
    """One transaction of a store of this process; nothing for others."""
    return store.together() if isinstance(store, Embedded) else nullcontext()


def unguarded(call: Call) -> Store:
    """The store as it is: everybody may do everything."""
    return call.store


@record(frozen=True, slots=True, kw_only=True)
class Service:
    """What an application serves, and by which rules.

    Parameters
    ----------
    guard
        Asked once per call, when all of it is known but `store` is still the bare one: the store as far as the
        principal may use it on this route. It raises `Forbidden` or `NotFound` where that is clear at once.
    sizes
        How long bodies may be, by kind of route.
    growth
        How far workflows may grow; None: without limit.
    beat_seconds
        How often runners are to say that they live.
    parts
        What our additions need, by name: held requests, streams.
    """

    store: Store
    clock: Clock = SystemClock()
    gate: Gate = Open()
    guard: Callable[[Call], Store] = unguarded
    sizes: Mapping[str, int] | None = None
    growth: Growth | None = None
    beat_seconds: int = 30
    routes: Sequence[Route] | None = None
    parts: Mapping[str, Any] | None = None
