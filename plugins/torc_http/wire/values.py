"""Values of the model as JSON text, as fast as they can be written (`torc_core.store.codec` says in which form)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson

from torc_core.store import codec

_DIGITS = bytes(ord("0") if one in b"0123456789" else ord(" ") for one in range(256))
_LONG = b"0" * 19


def dumps(value: object) -> bytes:
    """Write a value.

    Raises
    ------
    TypeError
        If something in it belongs neither to JSON nor to the model.
    """
    plain = codec.plain(value)
    try:
        text = orjson.dumps(plain)
    except TypeError:
        pass  # halves of characters, and numbers of more than 64 bits
    else:
        # NOTE: orjson writes null for what is no number, and that would be another value; the other side has to refuse it.
        if b"null" not in text:
            return text
    return json.dumps(plain, separators=(",", ":")).encode("ascii")


def told(body: object, default: Callable[[Any], object] = dict) -> bytes:
    """Write the body of an answer, whatever numbers users have put into it.

    Parameters
    ----------
    default
        What becomes of objects that are not JSON: stores give mappings of their own in places.
    """
    try:
        return orjson.dumps(body, default=default)
    except TypeError:
        return json.dumps(body, default=default, separators=(",", ":")).encode("ascii")


def heard(text: bytes) -> Any:
    """Read the body of a request; integers of any length stay what they are.

    Raises
    ------
    ValueError
        If the text is not JSON.
    """
    value = orjson.loads(text)
    # PERF: a third of the time of reading; a pattern for long numbers takes nine times that of reading.
    if _LONG in text.translate(_DIGITS):
        # NOTE: of integers of more than 64 bits the fast reader makes floating-point numbers.
        return json.loads(text)
    return value


def loads(text: bytes) -> Any:
    """Read a value in which no number has more than 64 bits.

    Raises
    ------
    ValueError
        As `codec.loads`.
    """
    return codec.loads(text) if b"\\ud" in text else codec.rich(orjson.loads(text))
