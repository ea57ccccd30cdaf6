"""`torc slurm`: schedulers, allocations, what is asked of Slurm."""

from __future__ import annotations

from cyclopts import App

app = App(name="slurm", help="Slurm: schedulers, allocations, what is asked of it.")

COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("create", "schedulers:create", "Add a scheduler to a workflow: how allocations are asked for."),
    ("update", "schedulers:update", "Change a scheduler, for allocations that are asked for later."),
    ("list", "schedulers:list_", "List the schedulers of a workflow."),
    ("get", "schedulers:get", "Show schedulers."),
    ("delete", "schedulers:delete", "Delete schedulers; jobs that are bound to one are free."),
    ("schedule-nodes", "schedule_nodes:schedule_nodes", "Ask Slurm for allocations of a scheduler."),
    ("prune", "prune:prune", "Call off queued allocations that nothing needs any more."),
    ("parse-logs", "parse_logs:parse_logs", "Look for trouble in the logs of allocations, and whom it hit."),
    ("sacct", "sacct:sacct", "Show what Slurm's accounting says of allocations and their steps."),
    ("stats", "stats:stats", "List what each attempt used."),
    ("usage", "usage:usage", "Sum up node-hours, their charge, waiting and waste."),
    ("generate", "generate:generate", "Plan the allocations of a specification, and write them into it."),
    (
        "plan-allocations",
        "plan_allocations:plan_allocations",
        "Compare one large allocation with many small ones; nothing is submitted.",
    ),
    ("regenerate", "regenerate:regenerate", "Plan allocations anew for what is left of a workflow."),
    ("rpc", "rpc:rpc", "Show the last calls of Slurm's commands."),
)
"""Command word, where it is below `torc_slurm.commands`, line of help; each is loaded when it is called."""

for _name, _target, _text in COMMANDS:
    app.command(f"torc_slurm.commands.{_target}", name=_name, help=_text)
