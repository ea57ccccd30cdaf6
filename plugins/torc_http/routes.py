"""What a route is, and the list of all of them: handlers, permissions, parsing and the OpenAPI document come from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from torc_core.model import Workflow
from torc_core.record import record

if TYPE_CHECKING:
    from marshmallow import Schema
    from marshmallow.fields import Field

    from torc_http.call import Call, Principal, Service

BASE = "/torc-service/v1"
"""Where all routes lie (`wire.md` T1)."""

ACCESS = ("public", "read", "edit", "run", "operate", "own", "user", "admin")
"""The classes of `security.md` §5; every route has exactly one."""

MIB = 1024**2
SIZES = {"plain": 2 * MIB, "batch": 16 * MIB, "bulk": 256 * MIB}
"""How long a body may be, by the kind of route (`wire.md` T12)."""

WHOLE = ("limit", "run_id")
"""Path parameters besides ids that are integers; all others are text."""

PUBLISHED = (
    "system", "tasks", "workflows", "progress", "runs", "jobs", "attempts", "results", "files", "user_data",
    "resource_requirements", "failure_handlers", "actions", "compute_nodes", "allocations", "slurm_schedulers",
    "slurm_stats", "local_schedulers", "remote_workers", "events", "ro_crate", "access",
)  # fmt: skip
"""Modules of `torc_http.published`, each with its `ROUTES`."""


@record(frozen=True, slots=True, kw_only=True)
class Route:
    """An operation: a method and a path below the base, and what they do.

    Parameters
    ----------
    path
        With parameters in braces: `/jobs/{id}`. `id`, what ends in `_id`, `limit` and `run_id` are integers.
    access
        Which class of callers may use it, one of `ACCESS`.
    of
        The kind of record that `{id}` names, by which the call is tied to a workflow; None: none. Below
        `/workflows/{id}` it need not be said.
    query, body, answer
        Schemas; a body or an answer may also be a field. None: no parameters, no body, free JSON.
    size
        One of `SIZES`.
    statuses
        Success statuses besides 200, and the errors that the published contract lists.
    since
        The first published HTTP API that has it, where it matters.
    secret
        Its answer holds a secret, which is told and not kept.
    slow
        It may take seconds: only a quarter of the threads does such things at once (`promises.md` W2).
    x
        One of our additions: bodies and parameters are strict (`wire.md` T11).
    outside
        The path does not lie below the base.
    knows
        Asked before the gate whether it knows the caller by itself; None: it does not.
    """

    method: str
    path: str
    operation_id: str
    access: str
    handler: Callable[[Call], object]
    summary: str
    group: str = ""
    of: type[Any] | None = None
    query: type[Schema] | None = None
    body: Schema | Field[Any] | None = None
    answer: Schema | Field[Any] | None = None
    size: str = "plain"
    statuses: Sequence[int] = ()
    since: str | None = None
    legacy: bool = False
    secret: bool = False
    slow: bool = False
    x: bool = False
    outside: bool = False
    knows: Callable[[Mapping[str, Any], Service], Principal | None] | None = None

    @property
    def place(self) -> str:
        """The whole path, base and all."""
        return self.path if self.outside else BASE + self.path

    @property
    def parameters(self) -> Sequence[str]:
        """The names of its path parameters, in order."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


def whole(name: str) -> bool:
    """Whether a path parameter is an integer."""
    return name == "id" or name.endswith("_id") or name in WHOLE


def all_routes() -> Sequence[Route]:
    """Every route: the published ones, then our additions.

    Raises
    ------
    ValueError
        If a route declares no class, or two are the same.
    """
    routes: list[Route] = []
    for name in PUBLISHED:
        routes += import_module(f"torc_http.published.{name}").ROUTES
    routes += _additions()
    return checked(routes)


def _additions() -> Iterable[Route]:
    try:
        additions = import_module("torc_http.x")
    except ModuleNotFoundError as error:
        if error.name != "torc_http.x":
            raise
        return ()
    found: Iterable[Route] = additions.routes()
    return found


def checked(routes: Sequence[Route]) -> Sequence[Route]:
    """The routes, when each declares its class and no two have the same name or place.

    Raises
    ------
    ValueError
        Naming the route.
    """
    places: dict[tuple[str, str], str] = {}
    names: set[str] = set()
    for route in routes:
        if route.access not in ACCESS:
            raise ValueError(
                f"route {route.operation_id} declares class {route.access!r}; choose from {ACCESS}"
            )
        place = (route.method, route.path)
        if place in places or route.operation_id in names:
            raise ValueError(f"route {route.operation_id} ({route.method} {route.path}) is there twice")
        places[place] = route.operation_id
        names.add(route.operation_id)
    return [replace(one, of=Workflow) if one.path.startswith("/workflows/{id}") else one for one in routes]
