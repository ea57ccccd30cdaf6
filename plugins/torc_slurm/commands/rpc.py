"""`torc slurm rpc`: what Slurm was asked lately."""

from __future__ import annotations

from datetime import UTC, datetime

from torc_core.given import Given
from torc_slurm.scheduler.slurm import Slurm
from torc_terminal.output.answer import Listing
from torc_terminal.output.cells import Column

COLUMNS = (
    Column(title="At", key="at"),
    Column(title="Command", key="command"),
    Column(title="Seconds", key="seconds", right=True),
    Column(title="Exit code", key="exit_code", right=True),
    Column(title="PID", key="pid", right=True),
)


def rpc(*, session: Given) -> Listing:
    """List the last hundred calls of Slurm's commands by you on this host, and how many there were a minute ago."""
    budget = Slurm.of(session.config, session.clock).budget
    calls = budget.calls()
    items = [
        {
            "at": datetime.fromtimestamp(one.at / 1000, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "command": one.command,
            "seconds": one.seconds,
            "exit_code": one.code,
            "pid": one.pid,
        }
        for one in calls
    ]
    return Listing(
        schema="torc.slurm.rpc/1",
        noun="calls",
        items=items,
        columns=COLUMNS,
        total=len(items),
        extra={"per_minute": dict(budget.per_minute())},
    )
