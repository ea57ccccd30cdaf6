"""Who may use a workflow, and by which rule (`engine.md` §16, `security.md` §5)."""

from __future__ import annotations

from collections.abc import Iterable

from torc_core.model import Access, Workflow

ADMIN = Access(level="own", reason="admin")
OWNER = Access(level="own", reason="owner")
NONE = Access(level="none", reason="no rule grants access")


def access(user: str, workflow: Workflow, *, admin: bool, links: Iterable[tuple[str, str]]) -> Access:
    """How far a user may go with a workflow.

    Parameters
    ----------
    admin
        Whether he is in the system group.
    links
        Name and level of each of his groups that is linked to the workflow; the one that allows most counts.
    """
    if workflow.user == user:
        return OWNER
    if admin:
        return ADMIN
    best = min(links, key=lambda link: (link[1] != "full", link[0]), default=None)
    return NONE if best is None else Access(level=best[1], reason=f"group {best[0]}")
