"""Finds allocations that may have been submitted although nobody heard so (`slurm.md` SJ3)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torc_core.model import Allocation
from torc_core.record import record
from torc_slurm.scheduler.slurm import Slurm
from torc_slurm.submission.script import comment

OURS = "torc/"
"""How our comments begin."""
SKEW_MS = 300_000
"""The clocks of this host and of the cluster may differ by so much."""
FIELDS = ("JobIDRaw", "State", "Comment", "JobName")


@record(frozen=True, slots=True, kw_only=True)
class Lost:
    """An allocation that is looked for.

    Parameters
    ----------
    job_name
        What it would be called in the queue.
    shared
        Others are called so too: the name alone tells nothing.
    """

    allocation: Allocation
    job_name: str
    shared: bool


@record(frozen=True, slots=True, kw_only=True)
class Seen:
    """A batch job of ours, as the queue or the accounting shows it."""

    number: str
    name: str
    comment: str


def look(
    slurm: Slurm, lost: Sequence[Lost], store_id: str, known: Collection[str], since: int
) -> dict[int, str]:
    """Look once, into the queue and then the accounting; numbers of those that are there, by the id of the allocation.

    Parameters
    ----------
    known
        Numbers that belong to other allocations.
    since
        When the first of them may have been submitted, milliseconds since 1970.

    Raises
    ------
    SlurmSilent
        If the queue or the accounting does not answer: then nothing can be concluded.
    """
    rows = [Seen(number=row.number, name=row.name, comment=row.comment) for row in slurm.queue()]
    found = matched(lost, rows, store_id, known)
    missing = [one for one in lost if one.allocation.id not in found]
    if missing:
        accounts = slurm.accounts(FIELDS, since=since - SKEW_MS) or ()
        rows = [
            Seen(number=one.number, name=one.fields["JobName"], comment=one.fields["Comment"])
            for one in accounts
        ]
        found |= matched(missing, rows, store_id, {*known, *found.values()})
    return found


def matched(
    lost: Sequence[Lost], rows: Sequence[Seen], store_id: str, known: Collection[str]
) -> dict[int, str]:
    """Which of the batch jobs is which allocation: by comment, else by its own name, else by counting."""
    by_comment = {row.comment: row.number for row in rows if row.comment.startswith(OURS)}
    by_key = {row.name.rpartition("_")[2]: row.number for row in rows if "_" in row.name}
    found: dict[int, str] = {}
    for one in lost:
        key = one.allocation.submission_key
        number = by_comment.get(comment(store_id, key))
        if number is None and not one.shared:
            number = by_key.get(key)
        if number is not None:
            found[one.allocation.id] = number
    _counted(lost, rows, {*known, *found.values()}, found)
    return found


def _counted(
    lost: Sequence[Lost], rows: Sequence[Seen], taken: Collection[str], found: dict[int, str]
) -> None:
    """Where a site rewrites comments, batch jobs that share a name are told apart by nothing: any will do."""
    free: Mapping[str, list[str]] = {one.job_name: [] for one in lost if one.shared}
    for row in sorted(rows, key=lambda row: (len(row.number), row.number)):
        if row.name in free and not row.comment.startswith(OURS) and row.number not in taken:
            free[row.name].append(row.number)
    for one in lost:
        if one.shared and one.allocation.id not in found and free[one.job_name]:
            found[one.allocation.id] = free[one.job_name].pop(0)
