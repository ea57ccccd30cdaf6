"""Which workflow a command means, and whether the user is sure (`cli.md` C17, C19-C21)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence

from torc_core.errors import Conflict, NotFound, UsageError, did_you_mean
from torc_core.model import Query, Workflow, WorkflowId
from torc_core.session import Session

LAST = "last"
"""The user's newest workflow in this store."""

_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
_MOST_IDS = 100_000
_OFFERED = 1_000


def workflow(session: Session, text: str | None) -> WorkflowId:
    """The workflow that a selector means; without one the user is asked.

    Raises
    ------
    UsageError
        If there is no selector and nobody to ask, or the text is no selector.
    NotFound
        If there is no such workflow.
    KeyboardInterrupt
        If the user leaves the picker.
    """
    return found(session, text).id


def workflows(session: Session, texts: Sequence[str]) -> list[WorkflowId]:
    """The workflows that several selectors mean, each once: separate, with commas, or as ranges such as `10-20`.

    Raises as `workflow` does.
    """
    if not texts:
        return [workflow(session, None)]
    parts = (part for text in texts for part in text.split(","))
    chosen: dict[WorkflowId, None] = {}
    for part in parts:
        if part.strip() == LAST:
            chosen[newest(session).id] = None
        else:
            for number in ids([part], example="torc workflows list"):
                chosen[existing(session, number).id] = None
    return list(chosen)


def ids(texts: Iterable[str], *, example: str | None = None) -> list[int]:
    """Whole numbers as users give several of them: separate, with commas, or as ranges; each once.

    Raises
    ------
    UsageError
        If a part is not an id or a range goes the wrong way.
    """
    chosen: dict[int, None] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        if between := _RANGE.fullmatch(part):
            first, last = int(between[1]), int(between[2])
            if last < first or last - first >= _MOST_IDS:
                raise UsageError(f"'{part}' is not a range of at most {_MOST_IDS} ids; write e.g. 10-20")
            chosen.update(dict.fromkeys(range(first, last + 1)))
        elif part.isascii() and part.isdigit() and len(part) <= 18:
            chosen[int(part)] = None
        else:
            more = did_you_mean(part, [LAST]) if example else ""
            where = f" (list them with '{example}')" if example else ""
            raise UsageError(f"'{part}' is not an id{more or '; ids are whole numbers'}{where}")
    return list(chosen)


def found(session: Session, text: str | None) -> Workflow:
    """As `workflow`, but the whole record."""
    if text is None:
        return asked(session)
    if text.strip() == LAST:
        return newest(session)
    numbers = ids([text], example="torc workflows list")
    if len(numbers) != 1:
        raise UsageError(f"'{text}' names {len(numbers)} workflows; this command takes one")
    return existing(session, numbers[0])


def existing(session: Session, number: int) -> Workflow:
    """The workflow with this id.

    Raises
    ------
    NotFound
        If there is none.
    """
    try:
        return session.store().get(Workflow, number)
    except NotFound as error:
        raise NotFound(f"no workflow {number}; list them with 'torc workflows list'") from error


def newest(session: Session) -> Workflow:
    """The user's newest workflow.

    Raises
    ------
    NotFound
        If the user has none.
    """
    query = Query(where={"user": session.user()}, reverse=True, limit=1)
    page = session.store().find(Workflow, query)
    if not page.items:
        raise NotFound(f"user '{session.user()}' has no workflow yet; make one with 'torc create SPEC'")
    return page.items[0]


def asked(session: Session) -> Workflow:
    """The workflow that the user picks from a list; one that is the only one is taken without asking.

    Raises
    ------
    UsageError
        If there is nobody to ask.
    NotFound
        If there is nothing to pick from.
    """
    if not session.interactive:
        raise UsageError(
            "no workflow id given and no terminal to ask on; pass one, e.g. 'torc status 42' "
            "(list them with 'torc workflows list')"
        )
    query = Query(where={"user": session.user(), "is_archived": False}, reverse=True, limit=_OFFERED)
    offered = session.store().find(Workflow, query).items
    if not offered:
        raise NotFound(f"user '{session.user()}' has no workflow yet; make one with 'torc create SPEC'")
    if len(offered) == 1:
        session.note(f"workflow {offered[0].id} '{offered[0].name}'")
        return offered[0]
    from torc_terminal.picker import pick

    return pick(session, offered)


def confirm(session: Session, question: str, yes: bool) -> None:
    """Let the user confirm something that cannot be undone; `yes`: already done with `--yes`.

    Raises
    ------
    Conflict
        If there is nobody to ask, or the answer is not yes. Nothing has been changed then.
    """
    if yes:
        return
    if not session.interactive:
        raise Conflict(
            f"'{question}' needs an answer, but there is no terminal to ask on; pass --yes to go ahead"
        )
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Conflict("not confirmed; nothing was changed")
