"""Dataclasses that are made quickly: frozen, slotted, keyword-only, and ready in a fifth of the time.

Every command starts by making about a hundred classes. The standard decorator compiles six functions for each, one by
one, and that was a quarter of what `torc status` took. Here only `__init__` is compiled; the rest is shared. For type
checkers, `fields`, `replace` and `asdict` these are dataclasses like any other.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["record"]

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(*, frozen: bool, slots: bool, kw_only: bool = False) -> Any:
        """Decorate a class as `dataclasses.dataclass` does; `frozen` and `slots` have to be set."""
        assert frozen
        assert slots
        return lambda cls: _made(dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(cls))


def _made(cls: type[Any]) -> type[Any]:
    every = fields(cls)
    names = tuple(field.name for field in every)
    inherited = {name for base in cls.__mro__[1:] for name in base.__dict__.get("__slots__", ())}
    inside = {
        name: value for name, value in cls.__dict__.items() if name not in {*names, "__dict__", "__weakref__"}
    }
    inside["__slots__"] = tuple(name for name in names if name not in inherited)
    metaclass: Any = type(cls)
    made: type[Any] = metaclass(cls.__name__, cls.__bases__, inside)
    made.__qualname__ = cls.__qualname__
    for name, method in _shared(names).items():
        if name not in cls.__dict__:
            setattr(made, name, method)

    def first(self: Any, *args: Any, **values: Any) -> None:
        # PERF: compiled when the first record is made; a command makes records of a fifth of the classes it loads.
        init = _init(made, every)
        setattr(made, "__init__", init)  # noqa: B010 - as an attribute it would not pass type checks
        init(self, *args, **values)

    setattr(made, "__init__", first)  # noqa: B010 - see above
    return made


def _init(cls: type[Any], every: tuple[Any, ...]) -> Any:
    """Compile `__init__`: values go straight into the slots, past the `__setattr__` that refuses."""
    known: dict[str, Any] = {"_MISSING": MISSING}
    heads: list[str] = []
    lines: list[str] = []
    keywords = False
    for field in every:
        name = field.name
        known[f"_set_{name}"] = getattr(cls, name).__set__
        head = name
        if field.default_factory is not MISSING:
            known[f"_make_{name}"] = field.default_factory
            head += "=_MISSING"
            lines.append(f" _set_{name}(self, _make_{name}() if {name} is _MISSING else {name})")
        else:
            if field.default is not MISSING:
                known[f"_default_{name}"] = field.default
                head += f"=_default_{name}"
            lines.append(f" _set_{name}(self, {name})")
        if field.kw_only and not keywords:
            keywords = True
            heads.append("*")
        heads.append(head)
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    # NOTE: the text is made of names of fields only, as the standard library does it.
    exec(f"def __init__(self, {', '.join(heads)}):\n" + "\n".join(lines or [" pass"]), known)  # noqa: S102 - see above
    init = known["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _shared(names: tuple[str, ...]) -> dict[str, Any]:
    """What all records have, over their own fields."""
    several = attrgetter(*names) if len(names) > 1 else None

    def values(one: Any) -> tuple[Any, ...]:
        return several(one) if several else tuple(getattr(one, name) for name in names)

    def as_repr(self: Any) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in zip(names, values(self), strict=True))
        return f"{type(self).__qualname__}({inside})"

    def as_eq(self: Any, other: object) -> Any:
        if other.__class__ is self.__class__:
            return values(self) == values(other)
        return NotImplemented

    def as_hash(self: Any) -> int:
        return hash(values(self))

    def as_setattr(self: Any, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def as_delattr(self: Any, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def as_getstate(self: Any) -> list[Any]:
        return list(values(self))

    def as_setstate(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {
        "__repr__": as_repr,
        "__eq__": as_eq,
        "__hash__": as_hash,
        "__setattr__": as_setattr,
        "__delattr__": as_delattr,
        "__getstate__": as_getstate,
        "__setstate__": as_setstate,
    }
