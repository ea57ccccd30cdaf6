"""The verbs of the store protocol, one route each: what `HttpStore` speaks. The guarded store judges each call itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torc_core.errors import Invalid
from torc_core.store import codec
from torc_core.store.calls import CALLS
from torc_http.call import Answer, Call
from torc_http.routes import Route
from torc_http.wire import values
from torc_http.wire.fields import Anything, Kind
from torc_http.x import fitting, holding

LARGE = frozenset({"add", "add_jobs", "create", "import_workflow"})
"""Verbs whose arguments may be as large as a whole workflow."""

SLOW = frozenset(
    {"changed_jobs", "export_workflow", "initialize", "recover", "reinitialize", "renew", "replan", "reset"}
)
"""Verbs that may take seconds."""


class Arguments(Kind):
    """What a verb is called with; the codec and the store check it."""

    noun = "an object with args and named"


def _handler(name: str) -> Callable[[Call], object]:
    def handle(call: Call) -> object:
        args, named = arguments(name, call.body)
        member = getattr(call.store, name)
        return Answer(raw=values.dumps(member(*args, **named) if callable(member) else member))

    handle.__name__ = name
    return handle


def turn(call: Call) -> object:
    """A turn; one that only waits for work is held without a thread."""
    args, named = arguments("turn", call.body)
    (told,) = (*args, *named.values())
    return holding.turn(call, told, values.dumps)


def arguments(name: str, body: Any) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a verb.

    Raises
    ------
    Invalid
        If they are no values of the model, or not those that the verb takes.
    """
    if not isinstance(body, dict) or not {"args", "named"} >= body.keys():
        raise Invalid('the body has to be {"args": [...], "named": {...}}')
    try:
        args, named = codec.rich(body.get("args", [])), codec.rich(body.get("named", {}))
    except ValueError as error:
        raise Invalid(f"the arguments cannot be read: {error}") from error
    if not isinstance(args, list) or not isinstance(named, dict):
        raise Invalid('"args" has to be a list and "named" an object')
    fitting.check(name, args, named)
    return args, named


ROUTES = tuple(
    Route(
        method="POST", path=f"/x/store/{name}", operation_id=f"store_{name}", access="read", group="store",
        handler=turn if name == "turn" else _handler(name), body=Arguments(), answer=Anything(), x=True,
        size="bulk" if name in LARGE else "batch", secret=name == "turn", slow=name in SLOW, summary=f"The verb `{name}` of the store protocol.",
    )
    for name in sorted(CALLS)
)  # fmt: skip
