"""Values of the model as JSON text, as fast as they can be written (`torc_core.store.codec` says in which form)."""

from __future__ import annotations

import json
from typing import Any

import orjson

from torc_core.store import codec


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


def loads(text: bytes) -> Any:
    """Read a value in which no number has more than 64 bits.

    Raises
    ------
    ValueError
        As `codec.loads`.
    """
    return codec.loads(text) if b"\\ud" in text else codec.rich(orjson.loads(text))
