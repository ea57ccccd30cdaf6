"""Other machines over SSH: connections to them, and runners on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torc_core import hookimpl
from torc_core.providers import LauncherProvider
from torc_ssh.settings import LauncherSettings

if TYPE_CHECKING:
    from cyclopts import App

    from torc_core.protocols import Launcher


@hookimpl
def torc_commands(app: App) -> None:
    """Add `torc remote`, and what it calls on the other side."""
    app.command("torc_ssh.commands:app", name="remote", help="Run a workflow on machines reached over SSH.")
    app.command("torc_ssh.agent.command:agent", name="_worker-agent", show=False)


@hookimpl
def torc_launchers() -> Iterator[LauncherProvider]:
    """A detached process per runner, on the next of the hosts."""
    yield LauncherProvider(
        name="ssh",
        summary="Runners on other machines, over SSH.",
        settings=LauncherSettings,
        open=open_launcher,
    )


def open_launcher(settings: LauncherSettings) -> Launcher:
    """Open the launcher."""
    from torc_ssh.launcher import Ssh

    return Ssh(settings)
