"""Sessions of programs that hold the key of this server (`security.md` S6)."""

from __future__ import annotations

from marshmallow import Schema

from torc_core.errors import NotFound
from torc_http.call import Call
from torc_http.routes import Route
from torc_http.wire.fields import Anything, Text


class Opening(Schema):
    """Which key the client holds, and its half of the session's name."""

    key_id = Text(required=True)
    client_nonce = Text(required=True)


def open_session(call: Call) -> object:
    """Prove the key to a client, which proves it with every request from then on."""
    sessions = getattr(call.service.gate, "sessions", None)
    opened = None if sessions is None else sessions.begin(call.body["key_id"], call.body["client_nonce"])
    if opened is None:
        raise NotFound("this server does not hold that key")
    return opened


ROUTES = (
    Route(
        method="POST", path="/x/auth/session", operation_id="open_session", access="public", group="auth",
        handler=open_session, body=Opening(), answer=Anything(), x=True,
        summary="Open a session with the key of this server.",
    ),
)  # fmt: skip
