"""What a machine has, and what its processes use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from torc_core import hookimpl
from torc_core.providers import MonitorProvider, NoSettings

if TYPE_CHECKING:
    from torc_core.detection import Detected
    from torc_core.protocols import Monitor


@hookimpl(trylast=True)
def torc_detect_resources(environ: Mapping[str, str]) -> Detected | None:
    """This machine, as far as this process may use it."""
    from torc_psutil.detect import detect

    return detect(environ)


@hookimpl
def torc_monitors() -> Iterator[MonitorProvider]:
    """Process trees, by psutil."""
    yield MonitorProvider(
        name="psutil", summary="CPU time and memory of whole process trees.", open=open_monitor
    )


def open_monitor(settings: NoSettings) -> Monitor:
    """Open the monitor."""
    from torc_psutil.monitor import Trees

    return Trees()
