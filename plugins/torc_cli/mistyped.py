"""Refuses values of a command line that are no numbers, or none of the choices, before they are taken for something else."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from torc_core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.argument import ArgumentCollection

_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)


def refuse_mistyped(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Look at every value of a command.

    NOTE: cyclopts rounds `1.6` where a whole number is wanted; as an id that would be another record.

    Raises
    ------
    UsageError
        With the first that is wrong.
    """
    from cyclopts import UNSET

    for argument in arguments:
        kinds = list(dict.fromkeys(_kinds(argument.hint))) if argument.tokens else []
        for token in argument.tokens:
            # An option whose value may be left out has none here, and means something by itself.
            if token.implicit_value is UNSET and (wrong := _wrong(token.value, kinds)):
                name = token.keyword or argument.field_info.name.upper()
                command = " ".join(["torc", *commands])
                raise UsageError(f"{name} '{token.value}' is {wrong} (see '{command} --help')")


def _kinds(hint: Any) -> Iterator[Any]:
    """What a value may be: a type, or a choice."""
    if get_origin(hint) is Literal:
        yield from get_args(hint)
    elif inner := [one for one in get_args(hint) if one is not ...]:
        for one in inner:
            yield from _kinds(one)
    elif hint is not type(None):
        yield getattr(hint, "__supertype__", hint)


def _wrong(text: str, kinds: Sequence[Any]) -> str | None:
    if kinds == [int]:
        return None if _WHOLE.fullmatch(text) else "not a whole number"
    if kinds == [float]:
        try:
            return None if math.isfinite(float(text)) else "not a number"
        except ValueError:
            return "not a number"
    choices = [one for one in kinds if isinstance(one, str)]
    if len(choices) < len(kinds) or not choices or text in choices:
        return None
    return f"none of {', '.join(choices)}{did_you_mean(text, choices)}"
