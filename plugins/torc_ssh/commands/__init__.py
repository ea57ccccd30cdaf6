"""`torc remote`: the commands, each loaded from its own module when it is called."""

from __future__ import annotations

from cyclopts import App

app = App(name="remote", help="Run a workflow on machines reached over SSH.")

COMMANDS = (
    ("add-workers", "adding:add_workers", "Add machines to a workflow."),
    ("add-workers-from-file", "adding:add_workers_from_file", "Add the machines that a file lists."),
    ("list-workers", "listing:list_workers", "List the machines of a workflow."),
    ("remove-worker", "adding:remove_worker", "Remove a machine from a workflow."),
    ("check", "checking:check", "Look whether the machines are fit, and change nothing."),
    ("run", "running:run", "Start a worker on every machine."),
    ("status", "status:status", "Show which workers run."),
    ("stop", "stopping:stop", "End the workers, and with them their jobs."),
    ("collect-logs", "collecting:collect_logs", "Fetch the logs of the machines."),
    ("delete-logs", "deleting:delete_logs", "Remove the output directories of the machines."),
)
"""Command word, what to import, line of help."""

for _word, _target, _text in COMMANDS:
    app.command(f"torc_ssh.commands.{_target}", name=_word, help=_text)
