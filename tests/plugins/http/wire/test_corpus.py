"""Hostile values in every field, parameter and path never make an answer of 500 (`promises.md` §8.3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from torc_http.routes import Route, all_routes, whole

PUBLISHED = [route for route in all_routes() if not route.x]
HOSTILE: list[Any] = [
    None, True, -1, 0, 2**63, 10**20, 1.5, 1e300, "", "\0", "x" * 300, "../../etc/passwd", "$(id)", "a\nb", "\u202ex",
    "id;drop table", [], {}, [None], {"a": {"b": [1]}}, [1] * 1000, "[" * 100, "2026-13-45", "P9999999Y", "1e400g",
]  # fmt: skip
DEEP = json.loads("[" * 60 + "]" * 60)
PATHS = [
    "-1",
    "0",
    "9223372036854775808",
    "100000000000000000000",
    "%EF%BC%91",
    "1%00",
    "%2e%2e",
    "a%2Fb",
    "%C0%AF",
    "1e3",
]
QUERIES = ["id;drop table", "-1", "", "%00", "99999999999999999999", "[]", "*", "true", "1", "'", "%ff"]


def sample(field: Any) -> Any:
    """A value that a field takes."""
    kind = field.described()
    if "enum" in kind:
        return kind["enum"][0]
    if "$ref" in kind:
        return {name: sample(one) for name, one in field.part().fields.items() if one.required}
    return {
        "integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}, "string": "2026-05-01T00:00:00Z",
    }.get(kind.get("type") if isinstance(kind.get("type"), str) else "object", {})  # fmt: skip


def bodies(route: Route) -> Iterator[Any]:
    """Good bodies with one hostile value each, and bodies that are hostile as a whole."""
    yield from (*HOSTILE, DEEP)
    fields = getattr(route.body, "fields", {})
    good = {name: sample(field) for name, field in fields.items() if field.required}
    for name in fields:
        for value in (*HOSTILE, DEEP):
            yield {**good, name: value}


@pytest.fixture
def busy(api) -> Any:
    """Some records of every sort that hostile calls may hit."""
    id = api.workflow()
    api.jobs(id, "a", "b")
    api("POST", f"/workflows/{id}/initialize_jobs")
    return api


def path_of(route: Route, value: str = "1") -> str:
    path = route.path
    for name in route.parameters:
        path = path.replace(f"{{{name}}}", value if whole(name) or value != "1" else "completed")
    return path


def query_of(route: Route) -> dict[str, str]:
    fields = route.query().fields if route.query else {}
    return {name: "1" for name, field in fields.items() if field.required}


@pytest.mark.parametrize(
    "route", [route for route in PUBLISHED if route.body], ids=lambda route: route.operation_id
)
def test_hostile_bodies(busy, route: Route) -> None:
    for body in bodies(route):
        raw = json.dumps(body).encode("utf-8", "surrogatepass")
        result = busy.send(route.method, path_of(route), raw=raw.decode(), params=query_of(route))
        assert result.status_code < 500, (body, result.text)
        assert result.status_code < 400 or result.json["error"]["message"]


@pytest.mark.parametrize("route", PUBLISHED, ids=lambda route: route.operation_id)
def test_hostile_paths(busy, route: Route) -> None:
    for value in PATHS if route.parameters else ():
        result = busy.send(
            route.method, path_of(route, value), raw="{}" if route.body else None, params=query_of(route)
        )
        assert 400 <= result.status_code < 500 or not any(whole(one) for one in route.parameters), (
            value,
            result.text,
        )
        assert result.status_code < 500


@pytest.mark.parametrize(
    "route", [route for route in PUBLISHED if route.query], ids=lambda route: route.operation_id
)
def test_hostile_parameters(busy, route: Route) -> None:
    for name in route.query().fields:
        for value in QUERIES:
            rest = "&".join(f"{key}={one}" for key, one in query_of(route).items() if key != name)
            query = f"{rest}&{name}={value}"
            raw = "{}" if route.body else None
            result = busy.send(route.method, path_of(route), raw=raw, query_string=query)
            assert result.status_code < 500, (query, result.text)
