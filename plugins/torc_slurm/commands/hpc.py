"""`torc hpc`: what is known about clusters."""

from __future__ import annotations

from cyclopts import App

app = App(name="hpc", help="Clusters: their partitions, and which this one is.")

COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("list", "hpc_profiles:list_", "List the clusters that are known."),
    ("detect", "hpc_profiles:detect", "Say which cluster this is."),
    ("show", "hpc_profiles:show", "Show what is known about a cluster."),
    ("partitions", "hpc_profiles:partitions", "List the partitions of a cluster."),
    ("match", "hpc_match:match", "Find the partition for a kind of job, and say why not the others."),
    ("hostname", "hostname:hostname", "Print the name under which compute nodes reach this host."),
    ("generate", "hpc_generate:generate", "Describe the cluster at hand as configuration."),
)
"""Command word, where it is below `torc_slurm.commands`, line of help; each is loaded when it is called."""

for _name, _target, _text in COMMANDS:
    app.command(f"torc_slurm.commands.{_target}", name=_name, help=_text)
