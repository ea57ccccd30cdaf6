"""`torc slurm`: schedulers, allocations, what is asked of Slurm."""

from __future__ import annotations

from cyclopts import App

app = App(name="slurm", help="Slurm: schedulers, allocations, what is asked of it.")

COMMANDS: tuple[tuple[str, str, str], ...] = (("rpc", "rpc:rpc", "Show the last calls of Slurm's commands."),)
"""Command word, where it is below `torc_slurm.commands`, line of help; each is loaded when it is called."""

for _name, _target, _text in COMMANDS:
    app.command(f"torc_slurm.commands.{_target}", name=_name, help=_text)
