"""`torc slurm usage`: node-hours of workflows, what they cost, and how much of it was of use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from torc_core.errors import TorcError, UsageError, did_you_mean
from torc_core.given import Given
from torc_core.model import Query, Value, Workflow
from torc_core.session import Session
from torc_slurm.accounting.steps import FIELDS, numbers_of
from torc_slurm.accounting.usage import BY, Accounted, Stretch, stretches, summed, total
from torc_slurm.scheduler.slurm import Slurm
from torc_slurm.scheduler.times import instant
from torc_terminal.given_text import moment
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import Column
from torc_terminal.selector import workflows
from torc_terminal.standing import amount

_GPUS = re.compile(r"(?:^|,)gres/gpu=(\d+)")

COLUMNS = (
    Column(title="Group", key="group"),
    Column(title="Allocations", key="allocations", right=True),
    Column(title="Node-hours", key="node_hours", right=True),
    Column(title="Planned", key="planned_node_hours", right=True),
    Column(title="CPU-hours", key="cpu_hours", right=True),
    Column(title="GPU-hours", key="gpu_hours", right=True),
    Column(title="Charge", key="charge", right=True),
    Column(title="Median wait s", key="median_wait_seconds", right=True),
    Column(title="Max wait s", key="max_wait_seconds", right=True),
    Column(title="Busy %", key="busy_percent", right=True),
    Column(title="Idle node-h", key="idle_node_hours", right=True),
    Column(title="Wasted node-h", key="wasted_node_hours", right=True),
)


def usage(
    *workflow: str,
    since: str | None = None,
    by: str = "workflow",
    session: Given,
) -> Report:
    """Sum up what the allocations of workflows used: node-hours, charge, waiting, idling, waste.

    Times are those of Slurm's accounting where there is one, else those of torc's own records.

    Parameters
    ----------
    workflow
        Ids, ranges such as `10-20`, or `last`; without one all of yours.
    since
        Only allocations that began at this time or later, such as `2026-05-01` or `7d`.
    by
        One row for each: workflow, scheduler, partition, account or user.
    """
    if by not in BY:
        raise UsageError(f"--by '{by}' is unknown{did_you_mean(by, BY)}; choose from {', '.join(BY)}")
    begin = None if since is None else moment(since, session.clock.now())
    store = session.store()
    where: dict[str, Value | tuple[Value, ...]] = {"user": session.user()}
    found = (
        [store.get(Workflow, id) for id in workflows(session, workflow)]
        if workflow
        else store.find(Workflow, Query(where=where, limit=2**31)).items
    )
    numbers = [number for one in found for number in numbers_of(store, one.id)]
    books, source = _books(session, numbers)
    now = session.clock.now()
    some = [
        one
        for each in found
        for one in stretches(store, each, now, books)
        if begin is None or one.begin >= begin
    ]
    charge = _charge(session)
    rows = summed(some, by, charge)
    whole = total(some, charge)
    return Report(
        schema="torc.slurm.usage/1",
        data={"by": by, "source": source, "items": rows, "total": whole},
        text=f"{whole['node_hours']} node-hours in {amount(whole['allocations'], 'allocation')} (times: {source})",
        rows=rows,
        columns=COLUMNS,
        noun="allocations",
    )


def _books(session: Session, numbers: Sequence[str]) -> tuple[Mapping[str, Accounted], str]:
    """What Slurm's accounting says, by number, and where the times are from."""
    slurm = Slurm.of(session.config, session.clock)
    if not numbers or not slurm.here("sacct"):
        return {}, "torc"
    try:
        lines = slurm.accounts(FIELDS, numbers=numbers)
    except TorcError as error:
        session.warn(f"{error}; times are those of torc's own records")
        return {}, "torc"
    if lines is None:
        session.note("this cluster keeps no accounts; times are those of torc's own records")
        return {}, "torc"
    books = {}
    for line in lines:
        fields: Mapping[str, str] = line.fields
        gpus = _GPUS.search(fields["AllocTRES"])
        books[fields["JobID"]] = Accounted(
            start=instant(fields["Start"]), end=instant(fields["End"]), submit=instant(fields["Submit"]),
            nodes=_whole(fields["NNodes"]), cpus=_whole(fields["AllocCPUS"]), gpus=int(gpus[1]) if gpus else 0,
            partition=fields["Partition"], account=fields["Account"],
        )  # fmt: skip
    return books, "sacct"


def _charge(session: Session) -> Callable[[Stretch], float]:
    """What an allocation costs on this cluster; one that is not known charges a unit for an hour of a node."""
    from torc_slurm.profiles.detection import here

    profile = here(session.config)

    def cost(one: Stretch) -> float:
        partition = None if profile is None else profile.partition(one.partition)
        if profile is None or partition is None:
            return one.node_hours
        return profile.charge(partition, one.node_hours)

    return cost


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
