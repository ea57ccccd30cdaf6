"""Requests read strictly: bodies are JSON, parameters are what the schema says (`wire.md` T11, `promises.md` §8)."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from marshmallow import Schema, ValidationError

from torc_core.errors import Invalid
from torc_http.errors import Refused
from torc_http.routes import Route, whole
from torc_http.wire.fields import CONTROL, DEEPEST, WHOLE, Kind, ListOf, quoted
from torc_http.wire.plans import Reader, reader
from torc_http.wire.values import heard

IGNORED_BODY = 64 * 1024
"""Bytes that a route without a body reads and throws away (`wire.md` T2)."""

MOST_PARAMETERS = 100
JSON_TYPES = ("application/json", "application/merge-patch+json")
WAITING_BULK = 4
"""Bulk bodies that may wait while one is parsed (`security.md` R2)."""


class Turnstile:
    """Lets one bulk body through at a time, and keeps a few waiting."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = threading.BoundedSemaphore(WAITING_BULK + 1)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for one's turn.

        Raises
        ------
        Refused
            With 503, if too many wait already or it takes longer than 20 s.
        """
        if not self._waiting.acquire(blocking=False):
            raise Refused(503, f"{WAITING_BULK} large bodies wait already; try again")
        try:
            if not self._lock.acquire(timeout=20):
                raise Refused(503, "another large body is being read; try again")
            try:
                yield
            finally:
                self._lock.release()
        finally:
            self._waiting.release()


def body_of(environ: Mapping[str, Any], route: Route, limit: int) -> bytes:
    """The bytes of a body, unpacked.

    Raises
    ------
    Refused
        415, 413 or 400.
    """
    stream, length = environ["wsgi.input"], environ.get("CONTENT_LENGTH") or "0"
    if route.body is None:
        stream.read(min(int(length), IGNORED_BODY))
        return b""
    kind = environ.get("CONTENT_TYPE", "").split(";")[0].strip().lower()
    if int(length) > limit:
        raise Refused(413, f"the body has {length} bytes; {route.method} {route.path} takes at most {limit}")
    raw: bytes = stream.read(int(length))
    if not raw:
        raise Refused(400, f"{route.method} {route.path} needs a JSON body")
    if kind not in JSON_TYPES:
        raise Refused(415, f"the content type is {quoted(kind)}; send application/json")
    packed = environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if packed in ("identity", ""):
        return raw
    if packed != "gzip" or route.size != "bulk":
        raise Refused(415, f"the content encoding {quoted(packed)} is not taken here; send the body as it is")
    return _unpacked(raw, limit)


def _unpacked(raw: bytes, limit: int) -> bytes:
    unpack = zlib.decompressobj(wbits=31)
    try:
        found = unpack.decompress(raw, limit + 1)
    except zlib.error as error:
        raise Refused(400, f"the body is not gzip: {error}") from None
    if len(found) > limit:
        raise Refused(413, f"the unpacked body has more than {limit} bytes")
    if not unpack.eof:
        raise Refused(400, "the gzip body ends too early")
    return found


def parsed(raw: bytes, *, verb: bool = False) -> Any:
    """JSON; the last of equal keys wins.

    Parameters
    ----------
    verb
        Halves of characters are let through: the store says which of its fields holds one.

    Raises
    ------
    Refused
        400, with the place.
    """
    try:
        value = json.loads(raw) if verb and b"\\ud" in raw else heard(raw)
    except ValueError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    # PERF: each level opens a bracket, so most bodies need no walk.
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and _depth(value) > DEEPEST:
        raise Refused(400, f"the body is nested deeper than {DEEPEST} levels")
    return value


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                below += [one for one in item.values() if type(one) in (dict, list)]
            elif type(item) is list:
                below += [one for one in item if type(one) in (dict, list)]
        level, depth = below, depth + 1
    return depth


def checked_body(route: Route, value: Any) -> Any:
    """A parsed body, as the schema of the route reads it."""
    if isinstance(route.body, Schema):
        return _body_reader(route)(value)
    assert isinstance(route.body, Kind)
    try:
        return route.body.take(value)
    except ValidationError as error:
        message = f"the body is wrong: {error.messages[0]}"
        raise Invalid(message, details={"field": "body", "value": value}) from None


def _body_reader(route: Route) -> Reader:
    return reader(type(route.body), strict=route.x)  # type: ignore[arg-type]  # the caller has looked


def ids_of(route: Route, params: Mapping[str, str]) -> dict[str, Any]:
    """Path parameters: ids are greater than zero.

    Raises
    ------
    Invalid
        The sentence names the parameter.
    """
    found: dict[str, Any] = {}
    for name, text in params.items():
        if not whole(name):
            if CONTROL.search(text):
                raise Invalid(
                    f"{name} in the path holds a control character", details={"field": name, "value": text}
                )
            found[name] = text
            continue
        smallest = {"run_id": 0, "limit": None}.get(name, 1)
        number = int(text) if WHOLE.fullmatch(text) else None
        if number is None or not -(2**63) <= number < 2**63 or (smallest is not None and number < smallest):
            raise Invalid(
                f"{name} {quoted(text)} in the path is not {'an id' if smallest == 1 else 'a number'}",
                details={"field": name, "value": text},
            )
        found[name] = number
    return found


@cache
def _parameters(schema: type[Schema]) -> tuple[dict[str, Kind], tuple[str, ...], dict[str, Any]]:
    fields: dict[str, Any] = schema().fields
    required = tuple(name for name, field in fields.items() if field.required)
    defaults = {
        name: field.load_default
        for name, field in fields.items()
        if isinstance(field.load_default, int | str)
    }
    return fields, required, defaults


def query_of(route: Route, text: str) -> dict[str, Any]:
    """Query parameters; of repeated ones the last counts, but for lists.

    Raises
    ------
    Invalid
        The sentence names the parameter and the value.
    """
    if route.query is None:
        if text and route.x:
            raise Invalid(f"{route.method} {route.path} takes no query parameters")
        return {}
    fields, required, defaults = _parameters(route.query)
    found = dict(defaults)
    for name, value in _pairs(text):
        field = fields.get(name)
        if field is None:
            if route.x:
                raise _parameter(name, value, f"it is unknown; choose from {', '.join(sorted(fields))}")
            continue
        try:
            item = field.parse(value)
        except ValidationError as error:
            raise _parameter(name, value, str(error.messages[0])) from None
        found[name] = [*found.get(name, ()), item] if isinstance(field, ListOf) else item
    for name in required:
        if name not in found:
            raise _parameter(name, None, "it is missing")
    return found


def _pairs(text: str) -> list[tuple[str, str]]:
    if not text:
        return []
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise Refused(400, "the query is not percent-encoded UTF-8, or has too many parameters") from None
    for name, value in pairs:
        if "\x00" in value:
            raise _parameter(name, value, "it holds a NUL character")
    return pairs


def _parameter(name: str, value: Any, message: str) -> Invalid:
    return Invalid(f"parameter {name}: {message}", details={"field": name, "value": value})


def generation_of(agent: str) -> tuple[int, ...]:
    """The HTTP API of a published client, by its `User-Agent`; empty for everybody else (`wire.md` §1)."""
    parts = agent.split("/")
    if len(parts) < 3 or parts[0] != "OpenAPI-Generator":
        return ()
    numbers = parts[1].split(".")
    plain = all(one.isascii() and one.isdecimal() and len(one) < 10 for one in numbers)
    return tuple(int(number) for number in numbers) if plain else ()
