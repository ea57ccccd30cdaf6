"""`torc admin`: what only admins of a server look at."""

from __future__ import annotations

from cyclopts import App

from torc_core.errors import Conflict, UsageError
from torc_core.given import Given
from torc_core.model import AuditEntry, Token
from torc_terminal.distance import distant
from torc_terminal.noun import Noun, sure
from torc_terminal.options import Yes
from torc_terminal.output.answer import Listing, Outcome, refuse_csv
from torc_terminal.output.cells import Column, instant
from torc_terminal.output.records import Item
from torc_terminal.paging import WHOLE, Paging

app = App(name="admin", help="What only admins of a server look at.")
audit = App(name="audit", help="The record of security matters.")
tokens = App(name="tokens", help="Named credentials; their secrets are not kept.")
app.command(audit)
app.command(tokens)


def audit_item(entry: AuditEntry) -> Item:
    """An entry of the record."""
    return {
        "id": entry.id, "time": instant(entry.timestamp), "operation": entry.operation,
        "principal": entry.principal, "established": entry.established, "peer": entry.peer,
        "object": entry.object, "outcome": entry.outcome, "detail": entry.detail, "request_id": entry.request_id,
    }  # fmt: skip


def token_item(token: Token) -> Item:
    """A token without its digest."""
    return {
        "id": token.id, "key": token.key, "user": token.user, "class": token.access_class,
        "workflows": None if token.workflows is None else list(token.workflows),
        "created_at": instant(token.created_at), "expires_at": instant(token.expires_at),
        "revoked_at": instant(token.revoked_at),
    }  # fmt: skip


AUDIT = Noun(
    record=AuditEntry,
    group="admin.audit",
    one="audit entry",
    many="audit entries",
    item=audit_item,
    columns=(
        Column(title="ID", key="id", right=True),
        Column(title="Time", key="time"),
        Column(title="Operation", key="operation"),
        Column(title="Principal", key="principal"),
        Column(title="By", key="established"),
        Column(title="Peer", key="peer"),
        Column(title="Object", key="object"),
        Column(title="Outcome", key="outcome"),
        Column(title="Detail", key="detail"),
    ),
    sorts={"time": "timestamp"},
)
TOKENS = Noun(
    record=Token,
    group="admin.tokens",
    one="token",
    many="tokens",
    item=token_item,
    columns=(
        Column(title="ID", key="id", right=True),
        Column(title="User", key="user"),
        Column(title="Class", key="class"),
        Column(title="Workflows", key="workflows"),
        Column(title="Created", key="created_at"),
        Column(title="Expires", key="expires_at"),
        Column(title="Revoked", key="revoked_at"),
    ),
    sorts={"class": "access_class"},
)


@app.command
def reload_auth(*, session: Given) -> Outcome:
    """Have the server read its password file again, at once."""
    refuse_csv(session)
    far = distant(session.store())
    if far is None:
        raise Conflict(
            "no server is running on this store, so there is no password file to read again; give its address with --url"
        )
    count = far.reload_auth()
    users = "1 user" if count == 1 else f"{count} users"
    return Outcome(message=f"The password file was read again: {users}", extra={"user_count": count})


@audit.command(name="list")
def list_audit(
    *, after: int = 0, operation: str | None = None, paging: Paging = WHOLE, session: Given
) -> Listing:
    """List security matters in the order in which they happened.

    Parameters
    ----------
    after
        Only entries with a greater id.
    operation
        Only this one, such as `denied`.
    """
    where = {} if operation is None else {"operation": operation}
    return AUDIT.page(session, paging.query(where=where, sorts=AUDIT.sorts, above=after))


@tokens.command(name="list")
def list_tokens(*, paging: Paging = WHOLE, session: Given) -> Listing:
    """List the named tokens."""
    return TOKENS.page(session, paging.query(sorts=TOKENS.sorts))


@tokens.command
def revoke(*ids: str, yes: Yes = False, session: Given) -> Outcome:
    """Make tokens worthless; whoever uses them is refused from now on.

    Parameters
    ----------
    ids
        Ids of tokens: `7`, `7,9` or `7-9`.
    yes
        Do not ask.
    """
    refuse_csv(session)
    if not ids:
        raise UsageError("no token id given; pass at least one, e.g. 'torc admin tokens revoke 7'")
    wanted = TOKENS.ids(ids)
    live = [one for one in wanted if TOKENS.fetched(session, one).revoked_at is None]
    sure(session, f"Revoke {TOKENS.counted(len(wanted))}?", yes=yes)
    store, now = session.store(), session.clock.now()
    for one in live:
        store.change(Token, one, {"revoked_at": now})
    return Outcome(message=f"Revoked {TOKENS.counted(len(live))}", extra={"count": len(live), "ids": wanted})
