"""Whether the server is there, and which it is."""

from __future__ import annotations

from marshmallow import Schema

from torc_core import API_VERSION, __version__
from torc_http.call import Call
from torc_http.routes import Route, all_routes
from torc_http.wire.fields import Object, Text


class Ping(Schema):
    """That the server answers."""

    model = "PingResponse"

    status = Text(required=True)


class Version(Schema):
    """Which release answers."""

    model = "VersionResponse"

    version = Text(required=True)
    api_version = Text(required=True)
    git_hash = Text()


def ping(call: Call) -> object:
    """Say that the process can answer; no database is asked."""
    return {"status": "ok"}


def version(call: Call) -> object:
    """Say which release of torc this is, and which HTTP API it speaks."""
    return {"version": __version__, "api_version": API_VERSION}


def openapi(call: Call) -> object:
    """Describe every route."""
    from torc_http.openapi import document

    return document(call.service.routes or all_routes())


ROUTES = (
    Route(
        method="GET", path="/ping", operation_id="ping", access="public", group="system",
        handler=ping, answer=Ping(), summary="Tell whether the server answers.",
    ),
    Route(
        method="GET", path="/version", operation_id="get_version", access="public", group="system",
        handler=version, answer=Version(), summary="Tell the release and the HTTP API.",
    ),
    Route(
        method="GET", path="/openapi.json", operation_id="get_openapi", access="read", group="system",
        handler=openapi, answer=Object(), summary="Describe every route as OpenAPI.",
    ),
)  # fmt: skip
