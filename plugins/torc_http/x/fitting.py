"""Whether what a verb of the store is called with is what its protocol says: what comes from outside is parsed once, here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, ForwardRef, TypeVar, Union, get_args, get_origin, get_type_hints

from torc_core.errors import Invalid
from torc_core.model import CLEAR, JobRelations, Json, SlurmScheduler, Workflow
from torc_core.protocols import Store
from torc_core.store.codec import FIELDS
from torc_http.wire.fields import quoted
from torc_http.wire.settings import check_document
from torc_http.x.planning import check_plan, check_replan

Check = Callable[[Any], None]
SCALARS: Mapping[Any, tuple[type[Any], ...]] = {
    bool: (bool,), int: (int,), float: (float, int), str: (str,), type(None): (type(None),),
}  # fmt: skip
"""What may stand for a scalar; True is no integer."""
PLAIN = frozenset({bool, int, float, str, type(None)})


class Misfit(Exception):
    """A value that is not what it has to be, and where: the steps are added on the way out."""

    def __init__(self, value: object, wanted: str) -> None:
        super().__init__()
        self.value, self.wanted = value, wanted
        self.steps: list[str] = []

    def told(self, verb: str) -> Invalid:
        """The refusal of a call."""
        where = "".join(reversed(self.steps))
        value = self.value if type(self.value) in PLAIN else type(self.value).__name__
        if type(value) is str:
            value = value.encode(errors="replace").decode()
        sentence = f"{verb}: {where.lstrip('.')} has to be {self.wanted}, got {quoted(value)}"
        return Invalid(sentence, details={"field": where.lstrip("."), "value": value})


def check(verb: str, args: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Refuse arguments that the protocol of a store does not have.

    Raises
    ------
    Invalid
        The sentence says which, and what it has to be.
    """
    signature, checks = _verb(verb)
    try:
        given = signature.bind(*args, **named).arguments
    except TypeError as error:
        raise Invalid(f"{verb} cannot be called so: {error}") from error
    try:
        for name, value in given.items():
            _at(f".{name}", checks[name], value)
        if verb == "change" and isinstance(given["kind"], type):
            for name, value in given["fields"].items():
                _at(f".fields.{name}", _changed(given["kind"], name), value)
    except Misfit as misfit:
        raise misfit.told(verb) from None
    if settings := _settings(verb, given):
        check_document({"workflow": settings})
    if verb == "create":
        check_plan(given["plan"])
    elif verb == "replan":
        check_replan(given["plan"])


def _settings(verb: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of a workflow that a call brings, which clients and runners have to be able to read."""
    found: Any = {}
    if verb == "change" and given["kind"] is Workflow:
        found = given["fields"]
    elif verb == "import_workflow":
        found = given["document"].get("workflow")
    elif verb == "create":
        planned = given["plan"].workflow
        found = {one.name: getattr(planned, one.name) for one in fields(planned)}
    return found if isinstance(found, Mapping) else {}


@cache
def _verb(name: str) -> tuple[inspect.Signature, Mapping[str, Check]]:
    member = getattr(Store, name)
    if not callable(member):
        return inspect.Signature(), {}
    signature = inspect.signature(member)
    hints = get_type_hints(member)
    own = [one for one in signature.parameters.values() if one.name != "self"]
    return signature.replace(parameters=own), {one.name: _of(hints[one.name]) for one in own}


def _at(step: str, check: Check, value: Any) -> None:
    try:
        check(value)
    except Misfit as misfit:
        misfit.steps.append(step)
        raise


@cache
def _changed(kind: type[Any], name: str) -> Check:
    """What a change may give a field: what it may hold, none to leave it, `CLEAR` to take it away."""
    hint = {**get_type_hints(JobRelations), **get_type_hints(kind)}.get(name, object)
    plain = _of(hint)

    def check(value: Any) -> None:
        if value is None or value is CLEAR:
            return
        if isinstance(hint, type) and issubclass(hint, Enum):
            _status(hint, value)
        elif kind is SlurmScheduler and type(value) is dict:
            plain({key: item for key, item in value.items() if item is not CLEAR})
        else:
            plain(value)

    return check


def _status(kind: type[Enum], value: Any) -> None:
    """Statuses come as their words and numbers too; which words there are, the store says."""
    if type(value) is str and issubclass(kind, str):
        return
    try:
        kind(value)
    except ValueError:
        raise Misfit(value, f"a {kind.__name__}") from None


@cache
def _of(kind: Any) -> Check:
    """What checks a value of a type."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind == Json or kind == ForwardRef("Json"):
        return _json
    if kind in SCALARS:
        return _scalar(SCALARS[kind], "null" if kind is type(None) else kind.__name__)
    if origin in (Union, UnionType):
        return _one_of(inner)
    if origin is type:
        return _instance(type, "a kind of records")
    if origin is tuple:
        return _tuple(inner)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(*map(_of, inner))
    if origin is not None and issubclass(origin, Sequence):
        return _list(_of(inner[0]))
    if supertype := getattr(kind, "__supertype__", None):
        return _of(supertype)
    if isinstance(kind, type) and is_dataclass(kind):
        return _record(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _instance(kind, f"a {kind.__name__}")
    if isinstance(kind, TypeVar):
        return _any_record
    if kind is object:
        return lambda value: None
    raise TypeError(f"no values of {kind} are taken from outside")


def _scalar(allowed: tuple[type[Any], ...], noun: str) -> Check:
    def check(value: Any) -> None:
        if type(value) not in allowed and not _word(value, allowed):
            raise Misfit(value, noun)

    return check


def _word(value: Any, allowed: Collection[type[Any]]) -> bool:
    """Whether a value is a member of an enumeration that is one of these as well, as every status is a number."""
    return isinstance(value, Enum) and any(isinstance(value, one) for one in allowed)


def _instance(kind: type[Any], noun: str) -> Check:
    def check(value: Any) -> None:
        if not isinstance(value, kind):
            raise Misfit(value, noun)

    return check


def _one_of(kinds: Sequence[Any]) -> Check:
    flat = frozenset(each for one in kinds for each in SCALARS.get(getattr(one, "__supertype__", one), ()))
    rest = [_of(one) for one in kinds if getattr(one, "__supertype__", one) not in SCALARS]
    nouns = " or ".join(
        "null" if one is type(None) else getattr(one, "__name__", str(one)) for one in kinds
    )  # fmt: skip

    def check(value: Any) -> None:
        if type(value) in flat or _word(value, flat):
            return
        if len(rest) == 1 and type(value) not in PLAIN:
            rest[0](value)
            return
        for one in rest:
            try:
                one(value)
            except Misfit:
                continue
            return
        raise Misfit(value, nouns)

    return check


def _list(inner: Check) -> Check:
    def check(value: Any) -> None:
        if type(value) is not list and type(value) is not tuple:
            raise Misfit(value, "a list")
        for at, item in enumerate(value):
            try:
                inner(item)
            except Misfit as misfit:
                misfit.steps.append(f"[{at}]")
                raise

    return check


def _tuple(kinds: Sequence[Any]) -> Check:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return _list(_of(kinds[0]))
    parts = [_of(one) for one in kinds]

    def check(value: Any) -> None:
        if type(value) not in (list, tuple) or len(value) != len(parts):
            raise Misfit(value, f"a list of {len(parts)}")
        for at, (one, item) in enumerate(zip(parts, value, strict=True)):
            _at(f"[{at}]", one, item)

    return check


def _mapping(key: Check, inner: Check) -> Check:
    def check(value: Any) -> None:
        if type(value) is not dict:
            raise Misfit(value, "an object")
        for name, item in value.items():
            key(name)
            _at(f".{name}", inner, item)

    return check


def _fields(kind: type[Any]) -> Sequence[tuple[str, Any, Check]]:
    """Of a record: the names of its fields, what each holds when nothing is said, and what checks it."""
    hints = get_type_hints(kind)
    return [(one.name, one.default, _of(hints[one.name])) for one in fields(kind)]


def _record(kind: type[Any]) -> Check:
    # Not before it is asked for: a record may hold records of its own kind.
    known = cache(lambda: _fields(kind))

    def check(value: Any) -> None:
        if type(value) is not kind:
            raise Misfit(value, f"a {kind.__name__}")
        for name, default, inner in known():
            item = getattr(value, name)
            # PERF: most fields hold what they hold when nothing is said, the same object.
            if item is not default:
                _at(f".{name}", inner, item)

    return check


def _any_record(value: Any) -> None:
    """A record of whatever kind; what is none, the store refuses."""
    kind: Any = type(value)
    if FIELDS.get(kind) is not None:
        _of(kind)(value)


def _json(value: Any) -> None:
    kind = type(value)
    if kind in PLAIN:
        return
    if kind is dict:
        for name, item in value.items():
            if type(name) is not str:
                raise Misfit(name, "str")
            _at(f".{name}", _json, item)
    elif kind in (list, tuple):
        for at, item in enumerate(value):
            _at(f"[{at}]", _json, item)
    else:
        raise Misfit(value, "what JSON can say")
