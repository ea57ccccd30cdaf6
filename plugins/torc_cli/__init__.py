"""The commands of `torc`, each loaded from its own module when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pluggy import HookimplMarker

if TYPE_CHECKING:
    from cyclopts import App

hookimpl = HookimplMarker("torc")

COMMANDS = (
    ("create", "create", "Create a workflow from a specification."),
    ("run", "run", "Run a workflow, a specification or a list of commands on this machine."),
    ("exec", "exec_", "Run single commands, one line in, results out."),
    ("status", "status", "Show how far a workflow is."),
    ("ping", "ping", "Ask the server, or the database, whether it answers."),
    ("explain", "explain", "Say why jobs do not run, and what helps."),
    ("cancel", "cancel", "Stop workflows."),
    ("delete", "delete", "Delete workflows and all that belongs to them."),
    ("workflows", "app", "The workflows of a store."),
    ("jobs", "app", "The jobs of a workflow."),
    ("files", "app", "The files that jobs read and write."),
    ("user-data", "app", "The JSON values that jobs read and write."),
    ("results", "app", "How attempts of jobs ended."),
    ("events", "app", "What happened to a workflow, and what happens now."),
    ("resource-requirements", "app", "What jobs need of each of their nodes."),
    ("failure-handlers", "app", "Which exit codes are tried again, and how."),
    ("reports", "app", "What a workflow used, how its jobs ended and where their output is."),
    ("tasks", "app", "Long operations that a server carries out by itself."),
    ("job-dependencies", "app", "Which jobs wait for which, and the files and user data between them."),
    ("compute-nodes", "app", "The runners of a workflow, and how they are."),
    ("scheduled-compute-nodes", "app", "The allocations of a batch system, and what ran in them."),
    ("access-groups", "app", "Groups of users, and the workflows that they may use."),
    ("ro-crate", "app", "What a workflow says about itself to the outside."),
    ("admin", "app", "What only admins of a server look at."),
    ("reconcile", "reconcile", "Deliver results that runners could not tell."),
    ("plot-resources", "plot_resources", "Draw what jobs and nodes used over time."),
    ("config", "app", "Settings: what holds, where it comes from, how to change it."),
    ("plugins", "app", "What is installed, what it offers, and why something is not loaded."),
)
"""Command word, what to import from the module of that name, line of help."""


@hookimpl
def torc_commands(app: App) -> None:
    """Add the commands for workflows and their records."""
    for name, target, text in COMMANDS:
        app.command(f"torc_cli.{name.replace('-', '_')}:{target}", name=name, help=text)
    # NOTE: the one command that needs the program itself, so it cannot be loaded by import path.
    from torc_cli.completions import completions_of

    app.command(completions_of(app), name="completions")
    from torc_cli.mistyped import refuse_mistyped

    app.config = (refuse_mistyped,)
    # Older spellings (`cli.md` §8).
    app.command("torc_cli.older:initialize", name=["initialize", "init"], show=False)
    app.command("torc_cli.older:reinitialize", name=["reinitialize", "reinit"], show=False)
