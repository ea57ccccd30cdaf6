"""Named tokens: made once, shown once, kept as a digest (`security.md` O1)."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence

from torc_core.errors import Invalid
from torc_core.model import Query, Token, WorkflowId
from torc_core.protocols import Store
from torc_core.record import record
from torc_http.auth.capability import CLASSES
from torc_http.auth.encoding import as_text, same

DAY_MS = 86_400_000
DAYS = 30

SECRET_BYTES = 32

_TOKEN = re.compile(r"torc_([a-z0-9]{12})_([A-Za-z0-9_-]{43})", re.ASCII)


@record(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that was made just now: what the store keeps, and the text that nobody will see again."""

    kept: Token
    text: str


def new_token(
    user: str,
    now: int,
    *,
    workflows: Sequence[WorkflowId] | None,
    access_class: str = "edit",
    lasts_ms: int | None = DAYS * DAY_MS,
) -> NewToken:
    """Make a token for workflows of a user; None: for all of them.

    Raises
    ------
    Invalid
        If there is no such class, or it would be good for no workflow.
    """
    if access_class not in CLASSES:
        raise Invalid(f"there is no class '{access_class}'; choose one of {', '.join(CLASSES)}")
    if workflows is not None and not workflows:
        raise Invalid("a token is for one workflow or more; name them, or say '--all-workflows'")
    key = os.urandom(6).hex()
    secret = as_text(os.urandom(SECRET_BYTES))
    token = Token(
        key=key, digest=_digest(secret), user=user, access_class=access_class, workflows=workflows,
        created_at=now, expires_at=None if lasts_ms is None else now + lasts_ms,
    )  # fmt: skip
    return NewToken(kept=token, text=f"torc_{key}_{secret}")


def looks_like(text: str) -> bool:
    """Whether a text is written as tokens are."""
    return _TOKEN.fullmatch(text) is not None


def verified(store: Store, text: str) -> Token | None:
    """The token of a text, whether it is still good or not; None if there is none."""
    parts = _TOKEN.fullmatch(text)
    if parts is None:
        return None
    found = store.find(Token, Query(where={"key": parts[1]}, limit=1)).items
    kept = found[0].digest if found else _digest("")
    right = same(kept.encode("ascii"), _digest(parts[2]).encode("ascii"))
    return found[0] if found and right else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()
