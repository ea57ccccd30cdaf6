"""How allocations of a batch system go on: intended, submitted, running, over (`engine.md` §15.5)."""

from __future__ import annotations

from dataclasses import replace

from torc_core.errors import Conflict, Invalid
from torc_core.model import Allocation, AllocationStatus
from torc_core.model.allocation import shown

_S = AllocationStatus

WAITING = frozenset({_S.INTENDED, _S.PENDING})
"""Not yet running."""

OVER = frozenset({_S.COMPLETE, _S.CANCELED, _S.FAILED})
"""Nothing comes after these."""

MOST_INTENTS = 10_000
"""Allocations that one call may ask for."""

KEY_DIGITS = 12
"""Hexadecimal digits of a submission key (`slurm.md` SJ1)."""

HELD_MS = 120_000
"""So long whoever submits intents has them for himself after each sign of life (`slurm.md` SJ6)."""

_RANK = {_S.INTENDED: 0, _S.PENDING: 1, _S.ACTIVE: 2, _S.COMPLETE: 3, _S.CANCELED: 3, _S.FAILED: 3}

_ALIVE = frozenset({
    "PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "STOPPED", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED",
    "SPECIAL_EXIT", "SIGNALING", "RESIZING", "COMPLETING", "STAGE_OUT", "RESV_DEL_HOLD",
})  # fmt: skip


def submission_key(uuid: str) -> str:
    """The text by which an allocation is found again in the queue, from a fresh UUID."""
    return uuid.replace("-", "")[-KEY_DIGITS:]


def check_intent(count: int, nodes: int) -> None:
    """Refuse a number of allocations, or of nodes in each, that makes no sense.

    Raises
    ------
    Invalid
        Naming the number.
    """
    if not 0 <= count <= MOST_INTENTS:
        raise Invalid(f"{count} allocations cannot be asked for at once; ask for 0 to {MOST_INTENTS}")
    if nodes < 1:
        raise Invalid(f"an allocation of {nodes} nodes cannot be asked for; it has at least 1")


def check_newest(workflow: int, seen: int | None, newest: int) -> None:
    """Refuse a plan that was made before another allocation was asked for.

    Raises
    ------
    Conflict
        If there is a newer one than the one that was seen.
    """
    if seen is not None and newest > seen:
        raise Conflict(f"workflow {workflow} has got allocation {newest} since it was looked at; look again")


def status_of(value: object) -> AllocationStatus:
    """A status from its name.

    Raises
    ------
    Invalid
        The sentence lists the statuses.
    """
    try:
        return AllocationStatus(str(value))
    except ValueError as error:
        known = ", ".join(dict.fromkeys(shown(one) for one in AllocationStatus))
        raise Invalid(f"no status {value!r} of scheduled compute nodes; choose from {known}") from error


def forward(allocation: Allocation, status: AllocationStatus) -> bool:
    """Whether a status may be set by hand, and is another one; what is shown alike is the same.

    Raises
    ------
    Invalid
        If it lies behind the present one, or the allocation is over.
    """
    if shown(status) == shown(allocation.status) and _RANK[status] <= _RANK[allocation.status]:
        return False
    if allocation.status in OVER or _RANK[status] < _RANK[allocation.status]:
        raise Invalid(
            f"scheduled compute node {allocation.id} cannot go from {shown(allocation.status)} to {shown(status)}"
        )
    return True


def running(allocation: Allocation, number: str | None) -> Allocation:
    """An allocation of which a runner has joined, which says that the batch system calls it `number`.

    One whose last node has left is running again; one that was called off stays so.
    """
    status = allocation.status if allocation.status is _S.CANCELED else _S.ACTIVE
    return replace(allocation, status=status, scheduler_id=allocation.scheduler_id or number)


def takeable(allocation: Allocation, holder: str, instead: str | None, now: int) -> bool:
    """Whether an intent may be submitted by this holder: it is his, or nobody's, or of one who is gone.

    Until an allocation is submitted, `submitted_by` is its holder and `submitted_at` his last sign of life.
    """
    if allocation.status is not _S.INTENDED:
        return False
    return (
        allocation.submitted_by in (None, holder, *([instead] if instead else ()))
        or allocation.submitted_at is None
        or allocation.submitted_at <= now - HELD_MS
    )


def submitted(allocation: Allocation, key: str, number: str) -> AllocationStatus:
    """The status after the batch system has taken an allocation and calls it `number`.

    Raises
    ------
    Conflict
        If the key is another one's, or the allocation is known under another number.
    """
    if allocation.submission_key != key:
        raise Conflict(f"scheduled compute node {allocation.id} was not submitted under key {key!r}")
    if allocation.scheduler_id not in (None, number):
        known = allocation.scheduler_id
        raise Conflict(
            f"scheduled compute node {allocation.id} is job {known} of the batch system, not {number}"
        )
    # It was taken after all; one that was called off meanwhile stays so, but its number has to be known.
    return _S.PENDING if allocation.status in (_S.INTENDED, _S.FAILED) else allocation.status


def refused(allocation: Allocation) -> bool:
    """Whether the batch system's refusal changes anything; a second time is no harm.

    Raises
    ------
    Conflict
        If it has taken the allocation.
    """
    if allocation.status is _S.INTENDED:
        return True
    if allocation.status in (_S.PENDING, _S.ACTIVE, _S.COMPLETE):
        raise Conflict(
            f"scheduled compute node {allocation.id} is {shown(allocation.status)}; it was not refused"
        )
    return False


def withdrawn(allocation: Allocation) -> bool:
    """Whether calling an allocation off changes anything: it does not once it is over."""
    return allocation.status not in OVER


def ended(allocation: Allocation, state: str) -> AllocationStatus:
    """The status after the batch system said that an allocation is over, in a word of its own.

    Raises
    ------
    Invalid
        If that word means that it lives: suspended, requeued and completing are not over.
    """
    word = state.partition(" ")[0].rstrip("+").upper()
    if word in _ALIVE:
        raise Invalid(f"an allocation that is {state} is not over")
    if allocation.status in OVER:
        return allocation.status
    if allocation.status is _S.ACTIVE or word == "COMPLETED":
        return _S.COMPLETE
    return _S.CANCELED if word == "CANCELLED" else _S.FAILED
