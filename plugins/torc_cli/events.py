"""`torc events`: what happened, and what happens now."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from torc_core.engine.telling import category_of
from torc_core.errors import NotFound, UsageError
from torc_core.given import Given
from torc_core.model import Event, Query, Severity
from torc_terminal.following import Wanted, follow
from torc_terminal.given_text import json_value, moment
from torc_terminal.noun import Noun
from torc_terminal.options import Texts, Yes
from torc_terminal.output.answer import Listing, Outcome, Record, Stream, refuse_csv
from torc_terminal.output.cells import Column, shortened
from torc_terminal.output.records import event_item
from torc_terminal.paging import SHORT, ShortPaging
from torc_terminal.selector import workflow as selected
from torc_terminal.sentences import sentence, spoken

app = App(name="events", help="What happened to a workflow, and what happens now.")

Level = Literal["debug", "info", "warning", "error"]
NOUN = Noun(
    record=Event,
    group="events",
    one="event",
    many="events",
    item=event_item,
    columns=(
        Column(title="Seq", key="id", right=True),
        Column(title="Time", key="time"),
        Column(title="Severity", key="severity"),
        Column(title="Type", key="category"),
        Column(title="Text", key="data", show=lambda item: shortened(sentence(item), 120)),
    ),
    sorts={"time": "timestamp"},
)


@app.command
def create(
    workflow: str | None = None,
    /,
    *,
    data: Annotated[str, Parameter(name=["--data", "-d"], allow_leading_hyphen=True)],
    session: Given,
) -> Record:
    """Write an event of your own; its type is `user`, or what it says under `category`.

    torc events create 7 -d '{"category": "copied", "files": 12}'

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    data
        JSON, `@FILE` with JSON in it, or `-` for standard input.
    """
    refuse_csv(session)
    value = json_value(data, "--data")
    document = value if isinstance(value, dict) else {"data": value}
    wf = selected(session, workflow)
    category = category_of(document)
    event = Event(workflow_id=wf, timestamp=session.clock.now(), category=category, data=document)
    return NOUN.told(session.store().add([event])[0])


@app.command(name="list")
def list_(
    workflow: str | None = None,
    /,
    *,
    type: Annotated[Texts, Parameter(name=["--type", "-t", "--category", "-c"])] = (),
    after: int = 0,
    since: str | None = None,
    severity: Level | None = None,
    paging: ShortPaging = SHORT,
    session: Given,
) -> Listing:
    """List the events of a workflow, in the order in which they were committed.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    type
        Only events of these types, such as `job_failed`.
    after
        Only events with a higher sequence number.
    since
        Only events at or after this time: `2026-05-01T14:03:22Z`, `2026-05-01 14:03` or `10m`.
    severity
        Only events at least this severe.
    """
    where = wanted(type, severity).where
    start = None if since is None else moment(since, session.clock.now())
    wf = selected(session, workflow)
    return NOUN.page(session, paging.query(wf, where, sorts=NOUN.sorts, above=after, since=start))


@app.command
def monitor(
    workflow: str | None = None,
    /,
    *,
    duration: Annotated[float | None, Parameter(name=["--duration", "-d"])] = None,
    level: Level = "info",
    type: Annotated[Texts, Parameter(name=["--type", "-t"])] = (),
    filename: str | None = None,
    after: int | None = None,
    poll_interval: Annotated[float, Parameter(name=["--poll-interval", "-p"])] = 60.0,
    session: Given,
) -> Stream:
    """Print events when they happen, until interrupted; with `-f json` one JSON document per line.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    duration
        Stop after so many minutes.
    level
        Only events at least this severe.
    type
        Only events of these types, such as `job_failed`.
    filename
        Append the events to this file too, one JSON document per line.
    after
        Begin after this sequence number; without it with what happens from now on.
    poll_interval
        Where the store does not tell by itself, look at least every so many seconds; a database is looked at
        every second.
    """
    refuse_csv(session)
    if duration is not None and duration < 0:
        raise UsageError(f"--duration '{duration:g}' is negative; give minutes")
    if not 0 < poll_interval <= 86_400:
        raise UsageError(
            f"--poll-interval '{poll_interval:g}' is out of range; give seconds above 0, up to 86400"
        )
    wf = selected(session, workflow)
    if after is None:
        newest = session.store().find(Event, Query(workflow=wf, reverse=True, limit=1)).items
        after = newest[0].id if newest else 0
    events = follow(
        session,
        wf,
        after=after,
        wanted=wanted(type, level),
        seconds=None if duration is None else duration * 60,
        pause=min(poll_interval, 1.0),
        filename=filename,
    )
    return Stream(items=({"schema": "torc.events.event/1", **item} for item in events), line=spoken)


@app.command
def get_latest_event(workflow: str | None = None, /, *, session: Given) -> Record:
    """Show the newest event of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    """
    refuse_csv(session)
    wf = selected(session, workflow)
    newest = session.store().find(Event, Query(workflow=wf, reverse=True, limit=1)).items
    if not newest:
        raise NotFound(f"workflow {wf} has no events yet")
    return NOUN.told(newest[0])


@app.command
def get(*ids: str, session: Given) -> Record | Listing:
    """Show events.

    Parameters
    ----------
    ids
        Sequence numbers of events: `7`, `7,9` or `7-9`.
    """
    return NOUN.shown(session, ids)


@app.command
def delete(
    *ids: str,
    yes: Yes = False,
    session: Given,
) -> Outcome:
    """Delete events that users wrote; those of the store stay.

    Parameters
    ----------
    ids
        Sequence numbers of events: `7`, `7,9` or `7-9`.
    yes
        Do not ask.
    """
    return NOUN.deleted(session, ids, yes=yes)


def wanted(types: tuple[str, ...], level: Level | None) -> Wanted:
    """What is asked for: types by name (any name is accepted), severities from the level on."""
    names = tuple(part.strip() for text in types for part in text.split(",") if part.strip())
    return Wanted(types=names, level=Severity.DEBUG if level is None else Severity(level))
