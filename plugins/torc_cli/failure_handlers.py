"""`torc failure-handlers`: which exit codes are tried again, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from cyclopts import App, Parameter

from torc_core.errors import BadValue, UsageError
from torc_core.given import Given
from torc_core.model import FailureHandler, Json
from torc_terminal.given_text import json_value
from torc_terminal.noun import Noun
from torc_terminal.options import Yes
from torc_terminal.output.answer import Listing, Outcome, Record, refuse_csv
from torc_terminal.output.cells import Column
from torc_terminal.output.records import handler_item
from torc_terminal.paging import WHOLE, Paging
from torc_terminal.selector import workflow as selected

app = App(name="failure-handlers", help="Which exit codes are tried again, and how.")

NOUN = Noun(
    record=FailureHandler,
    group="failure-handlers",
    one="failure handler",
    many="failure handlers",
    item=handler_item,
    columns=(
        Column(title="ID", key="id", right=True),
        Column(title="Name", key="name"),
        Column(title="Rules", key="rules"),
    ),
)


@app.command
def create(
    workflow: str | None = None,
    /,
    *,
    name: Annotated[str, Parameter(name=["--name", "-n"])],
    rules: Annotated[str, Parameter(name="--rules")],
    session: Given,
) -> Record:
    """Add a failure handler to a workflow; jobs take it with their `failure_handler_id`.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    name
        Name of the handler.
    rules
        A JSON list of rules, or `@FILE` with one in it, such as `[{"exit_codes": [137], "max_retries": 3, "delay_seconds": 60}]`.
    """
    refuse_csv(session)
    if not name:
        raise UsageError("a failure handler has to have a name; pass --name NAME")
    found = read(rules)
    handler = FailureHandler(workflow_id=selected(session, workflow), name=name, rules=found)
    return NOUN.told(session.store().add([handler])[0])


@app.command(name="list")
def list_(workflow: str | None = None, /, *, paging: Paging = WHOLE, session: Given) -> Listing:
    """List the failure handlers of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    """
    return NOUN.page(session, paging.query(selected(session, workflow), sorts=NOUN.sorts))


@app.command
def get(*ids: str, session: Given) -> Record | Listing:
    """Show failure handlers.

    Parameters
    ----------
    ids
        Ids of failure handlers: `7`, `7,9` or `7-9`.
    """
    return NOUN.shown(session, ids)


@app.command
def delete(
    *ids: str,
    yes: Yes = False,
    session: Given,
) -> Outcome:
    """Delete failure handlers; jobs that have one lose it.

    Parameters
    ----------
    ids
        Ids of failure handlers: `7`, `7,9` or `7-9`.
    yes
        Do not ask.
    """
    return NOUN.deleted(session, ids, yes=yes)


def read(text: str) -> list[Mapping[str, Json]]:
    """Rules from JSON; the store looks at what they say.

    Raises
    ------
    UsageError
        If it is no JSON list.
    """
    rules = json_value(text, "--rules")
    if not isinstance(rules, list):
        raise BadValue("--rules has to be a JSON list of rules, such as '[{\"exit_codes\": [137]}]'")
    return rules
