"""Greets: the smallest plugin of torc."""

import sys

from torc_core import hookimpl


@hookimpl
def torc_commands(app):
    """Offer `torc hello`. Commands are named by import path, so that they are loaded only when they are run."""
    app.command("torc_hello:hello", name="hello", help="Greet somebody.")


@hookimpl
def torc_events(events):
    """Say goodbye to every workflow that is complete."""
    for event in events:
        if event.category == "workflow_completed":
            print(f"goodbye, workflow {event.workflow_id}", file=sys.stderr)


def hello(name: str = "world") -> str:
    """Greet somebody.

    Parameters
    ----------
    name
        Whom to greet.
    """
    return f"hello, {name}"
