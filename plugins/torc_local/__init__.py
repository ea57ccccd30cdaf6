"""Jobs as processes of this machine, and runners as processes of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torc_core import hookimpl
from torc_core.providers import ExecutorProvider, LauncherProvider, NoSettings
from torc_local.settings import SubprocessSettings

if TYPE_CHECKING:
    from torc_core.protocols import Executor, Launcher


@hookimpl
def torc_executors() -> Iterator[ExecutorProvider]:
    """A process per job."""
    yield ExecutorProvider(
        name="subprocess",
        summary="A process of this machine for each job.",
        settings=SubprocessSettings,
        open=open_executor,
    )


@hookimpl
def torc_launchers() -> Iterator[LauncherProvider]:
    """A detached process per runner."""
    yield LauncherProvider(name="local", summary="Runners as processes of this machine.", open=open_launcher)


def open_executor(settings: SubprocessSettings) -> Executor:
    """Open the executor."""
    from torc_local.executor import Subprocesses

    return Subprocesses(groups=settings.control_groups)


def open_launcher(settings: NoSettings) -> Launcher:
    """Open the launcher."""
    from torc_local.launcher import Local

    return Local()
