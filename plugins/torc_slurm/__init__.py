"""Slurm: allocations that are asked for once and only once, and everything that is told about them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from torc_core import hookimpl
from torc_core.providers import LauncherProvider
from torc_slurm.settings import SlurmSettings

if TYPE_CHECKING:
    from cyclopts import App

    from torc_core.config import Config
    from torc_core.detection import Detected
    from torc_core.protocols import Batch, Clock, Launcher, Store

COMMANDS = (
    ("submit", "submit:submit", "Ask Slurm for the nodes of a workflow."),
    ("slurm", "slurm:app", "Slurm: schedulers, allocations, what is asked of it."),
    ("hpc", "hpc:app", "Clusters: their partitions, and which this one is."),
    ("recover", "recover:recover", "Give jobs what they lacked when they failed, and let them run again."),
    ("doctor", "doctor:doctor", "Look for what is wrong with a server, its database and the way to it."),
    ("watch", "watch:watch", "Follow a workflow to its end, recover it, give it allocations."),
)
"""Command word, where it is below `torc_slurm.commands`, line of help."""


@hookimpl
def torc_launchers() -> Iterator[LauncherProvider]:
    """Runners in allocations of Slurm."""
    yield LauncherProvider(
        name="slurm",
        summary="Runners in allocations of Slurm.",
        settings=SlurmSettings,
        open=open_launcher,
        batch=open_batch,
        internal=internal_names,
    )


@hookimpl(wrapper=True)
def torc_detect_resources(
    environ: Mapping[str, str],
) -> Generator[None, Detected | None, Detected | None]:
    """On a node of an allocation: what was found there, as far as it belongs to the allocation."""
    found = yield
    if found is None or not environ.get("SLURM_JOB_ID"):
        return found
    from torc_slurm.running.resources import is_node, offered

    return offered(environ, found) if is_node(environ) else found


@hookimpl
def torc_commands(app: App) -> None:
    """Add the commands about Slurm, and the program of the batch scripts."""
    for name, target, text in COMMANDS:
        app.command(f"torc_slurm.commands.{target}", name=name, help=text)
    app.command("torc_slurm.running.program:run", name="slurm-job-runner", show=False)
    app.command("torc_slurm.commands.older:submit_slurm", name="submit-slurm", show=False)


def open_launcher(settings: SlurmSettings) -> Launcher:
    """Open the launcher."""
    from torc_slurm.launcher import SlurmLauncher

    return SlurmLauncher(settings)


def open_batch(store: Store, config: Config, clock: Clock, url: str | None) -> Batch:
    """Open what cares for the allocations of a store."""
    from torc_slurm.batch import SlurmBatch

    return SlurmBatch(store, config, clock, url)


def internal_names(config: Config, clock: Clock) -> tuple[Sequence[str], str | None]:
    """How hosts are called inside of this cluster, and the host of Slurm's controller."""
    from torc_slurm.deployment.naming import hints

    found = hints(config, clock)
    return found.templates, found.controller
