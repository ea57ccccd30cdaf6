"""The OpenAPI document, made of the routes and of the schemas that read and write their bodies (`wire.md` X21)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema
from marshmallow.fields import Field

from torc_core import __version__
from torc_http.routes import BASE, Route, whole
from torc_http.wire.fields import Kind, ListOf, Part, Parts, Plain, schema_name

MEANINGS = {
    200: "Done.",
    202: "Begun; ask after the task.",
    400: "The request is malformed.",
    401: "No credential, or a wrong one.",
    403: "Not allowed.",
    404: "Unknown, or not for the caller.",
    405: "The path takes other methods.",
    409: "Somebody else was first.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "Well-formed, but wrong; the field is named.",
    429: "Too many tries; wait.",
    500: "A bug; the log of the server has the details.",
    503: "Busy, or read-only; try again.",
}
ERROR: Mapping[str, Plain] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"description": "What was wrong, and what a program may act on."},
        "errorMessage": {"type": "string"},
        "errorNum": {"type": "integer", "format": "int64"},
        "code": {"type": "integer", "format": "int64"},
    },
}
ALWAYS = (400, 401, 403, 404, 422, 429, 500, 503)
"""Errors that every route with a caller may answer."""


def document(routes: Sequence[Route]) -> Mapping[str, Plain]:
    """The OpenAPI 3.1 document of these routes."""
    components: dict[str, Plain] = {"ErrorResponse": dict(ERROR)}
    paths: dict[str, dict[str, Plain]] = {}
    for route in routes:
        if route.outside:
            continue
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "torc", "version": __version__, "description": "Workflows of thousands of jobs."},
        "servers": [{"url": BASE}],
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items()))},
    }


def _operation(route: Route, components: dict[str, Plain]) -> Mapping[str, Plain]:
    found: dict[str, Plain] = {
        "operationId": route.operation_id,
        "summary": route.summary,
        "tags": ["x" if route.x else route.group or "system"],
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": _responses(route, components),
        "x-access": route.access,
    }
    if route.legacy:
        found["deprecated"] = True
    if route.body is not None:
        schema = _described(route.body, components)
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found


def _path_parameters(route: Route) -> list[Plain]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _path_schema(name),
        }
        for name in route.parameters
    ]


def _path_schema(name: str) -> Plain:
    if not whole(name):
        return {"type": "string", "minLength": 1, "pattern": "^[^/\\x00-\\x1f\\x7f-\\x9f]+$"}
    low = {"run_id": {"minimum": 0}, "limit": {}}.get(name, {"minimum": 1})
    return {"type": "integer", "format": "int64", "maximum": 2**63 - 1, **low}


def _query_parameters(route: Route) -> list[Plain]:
    if route.query is None:
        return []
    found = []
    for name, field in route.query().fields.items():
        assert isinstance(field, Kind)
        schema = field.described()
        default = field.load_default
        if isinstance(default, int | str):
            schema["default"] = default
        found.append({"name": name, "in": "query", "required": bool(field.required), "schema": schema})
    return found


def _responses(route: Route, components: dict[str, Plain]) -> Mapping[str, Plain]:
    found: dict[str, Plain] = {}
    for status in sorted({200, *route.statuses, *(ALWAYS if route.access != "public" else ())}):
        if status >= 400:
            schema: Plain = {"$ref": "#/components/schemas/ErrorResponse"}
        elif status == 202:
            from torc_http.wire.workflows import TaskModel

            schema = _described(TaskModel(), components)
        else:
            schema = {} if route.answer is None else _described(route.answer, components)
        found[str(status)] = {
            "description": MEANINGS[status],
            "content": {"application/json": {"schema": schema}},
        }
    return found


def _described(what: Schema | Field[Any], components: dict[str, Plain]) -> Plain:
    if isinstance(what, Schema):
        return _component(type(what), components)
    assert isinstance(what, Kind)
    _inside(what, components)
    return what.described()


def _component(schema: type[Schema], components: dict[str, Plain]) -> Plain:
    name = schema_name(schema)
    if name not in components:
        components[name] = {}
        components[name] = _object(schema, components)
    return {"$ref": f"#/components/schemas/{name}"}


def _object(schema: type[Schema], components: dict[str, Plain]) -> Plain:
    properties: dict[str, Plain] = {}
    required: list[str] = []
    for name, field in schema().fields.items():
        assert isinstance(field, Kind)
        _inside(field, components)
        described = field.described()
        if field.dump_only:
            described["readOnly"] = True
        if field.required:
            required.append(name)
        if not field.required or field.allow_none:
            described = _nullable(described)
        properties[name] = described
    summary = (schema.__doc__ or "").strip().splitlines()[0]
    found: dict[str, Plain] = {"type": "object", "description": summary, "properties": properties}
    if required:
        found["required"] = required
    if getattr(schema, "strict", False):
        found["additionalProperties"] = False
    return found


def _inside(field: Kind, components: dict[str, Plain]) -> None:
    """Make sure that what a field refers to is described."""
    if isinstance(field, Part | Parts):
        _component(field.part, components)
    elif isinstance(field, ListOf):
        _inside(field.inner, components)


def _nullable(described: dict[str, Plain]) -> dict[str, Plain]:
    """A schema that also takes null, which a client sends for what it does not set."""
    kind = described.get("type")
    if "$ref" in described:
        return {"anyOf": [described, {"type": "null"}]}
    if kind is None:
        return described
    kinds = [*(kind if isinstance(kind, list) else [kind]), "null"]
    found = {**described, "type": kinds}
    if "enum" in found:
        found["enum"] = [*found["enum"], None]
    return found
