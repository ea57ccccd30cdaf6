"""Whether a runner is alive, what proves it dead, and what becomes of its jobs then (`engine.md` §15)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torc_core.engine.completion import RECOVERING, Attempt
from torc_core.engine.retry import Retry, Rules, chosen, delay_ms
from torc_core.engine.runs import LOST_CODE
from torc_core.errors import Conflict, Invalid
from torc_core.model import (
    AllocationId,
    JobStatus,
    Json,
    NewNode,
    Node,
    NodeState,
)
from torc_core.record import record

FLAG_MS = 90_000
"""A node that has been silent for so long is shown as unreachable."""

BEYOND_MS = 60_000
"""The store waits so much longer than the length of a lease, so that a node that fences itself is dead by then."""

MINUTE = 60
"""Seconds of a minute of `compute_node_wait_for_healthy_database_minutes`; tests of faults have shorter ones."""

EVIDENCE = ("stopped", "allocation_ended", "boot_id", "process_gone")
"""What people and commands may know that proves a node dead (`engine.md` §15.7)."""

FENCE, DRAIN = "fence", "drain"
"""The values of `Node.on_lost`."""

NODE_LOST = "node_lost"


def seen(node: Node, now: int) -> NodeState:
    """How a node stands by its last sign of life; nodes that never beat have no lease to run out."""
    if not node.is_active:
        return node.state
    if not node.beats:
        return NodeState.ACTIVE
    silent = now - (node.start_time if node.last_beat is None else node.last_beat)
    if silent >= node.lease_seconds * 1_000 + BEYOND_MS:
        return NodeState.LOST
    return NodeState.UNREACHABLE if silent >= FLAG_MS else NodeState.ACTIVE


def at_lease_end(fences: bool, retry_on_node_loss: int, handlers: Iterable[Rules]) -> str:
    """What a node does that cannot reach the store for the length of its lease: `fence` or `drain` (§15.4).

    Parameters
    ----------
    fences
        It does so in any case.
    handlers
        Those of the workflow; one that has a lost job run again is reason enough.
    """
    again = fences or retry_on_node_loss > 0 or any(reruns_lost(rules) for rules in handlers)
    return FENCE if again else DRAIN


def succeeds(new: NewNode, allocation: AllocationId | None, old: Node) -> bool:
    """Whether a runner that joins proves an older one dead, because it comes from the same place (§15.1).

    Parameters
    ----------
    allocation
        The one that the new runner belongs to.
    """
    if old.epoch == new.epoch or old.state is NodeState.ENDED:
        return False
    worker = remote_worker(new.scheduler)
    if worker is not None and worker == remote_worker(old.scheduler):
        # The lock that such a worker holds on its host says that the former one is gone.
        return True
    if old.hostname == new.hostname and old.boot_id and new.boot_id and old.boot_id != new.boot_id:
        return True
    # A batch job that was started anew lives nowhere else, on whichever nodes it was before.
    number = slurm_number(new.scheduler)
    same = (allocation is not None and allocation == old.allocation_id) or (
        number is not None and number == slurm_number(old.scheduler)
    )
    return same and (new.restart_count or 0) > (old.restart_count or 0)


def slurm_number(scheduler: Mapping[str, Json] | None) -> str | None:
    """The batch system's number of the allocation that a node says it is in."""
    number = None if scheduler is None else scheduler.get("slurm_job_id")
    return None if number in (None, "") else str(number)


def remote_worker(scheduler: Mapping[str, Json] | None) -> Json:
    """The address of the remote worker that a node says it is; None: it is none."""
    if scheduler is None or scheduler.get("type") != "remote":
        return None
    return scheduler.get("worker")


def check_evidence(evidence: str) -> None:
    """Refuse what proves nothing.

    Raises
    ------
    Invalid
        The sentence lists what does.
    """
    if evidence not in EVIDENCE:
        raise Invalid(f"{evidence!r} is no proof that a node is dead; choose from {', '.join(EVIDENCE)}")


def check_open(node: Node) -> None:
    """Refuse to tell a runner anything that is no more.

    Raises
    ------
    Conflict
        If it has left or is dead.
    """
    if node.state is NodeState.ENDED:
        raise Conflict(f"node {node.id} ({node.hostname}) has ended; it is given no jobs anyway")


def reopened(node: Node) -> bool:
    """Whether to call a node active changes anything: one of a published client may be opened again.

    Raises
    ------
    Invalid
        If it is a runner that has ended or is lost; such a one says by itself that it lives.
    """
    if node.is_active:
        return False
    if node.beats:
        raise Invalid(
            f"node {node.id} ({node.hostname}) is {node.state}; only its runner can make it active again"
        )
    return True


def may_still_run(node: Node | None) -> bool:
    """Whether jobs that were given up as lost with this node may still run: it drains and is not proven dead.

    Such a job is run again only by force. A node that fences itself has ended its jobs before it counts as lost.
    """
    return node is not None and node.on_lost == DRAIN and node.state is not NodeState.ENDED


def reruns_lost(rules: Rules) -> bool:
    """Whether a handler runs again what was lost with its node; a rule with a script does not apply (§9, §15.4)."""
    rule = chosen(rules, LOST_CODE)
    return rule is not None and not rule.get("recovery_script") and rule["max_retries"] > 1


def after_loss(rules: Rules, *, attempt_id: int, losses: int, retry_on_node_loss: int) -> Retry:
    """What follows for a job whose node is lost while it ran, if it can be run again."""
    if losses < retry_on_node_loss:
        return Retry(again=True, lost=True)
    rule = chosen(rules, LOST_CODE)
    if rule is None or rule.get("recovery_script") or attempt_id >= rule["max_retries"]:
        return Retry()
    return Retry(again=True, lost=True, delay_ms=delay_ms(rule, attempt_id), limit=rule["max_retries"])


@record(frozen=True, slots=True, kw_only=True)
class Loss:
    """What becomes of a job whose node is lost.

    Parameters
    ----------
    status
        Its next status; None: it stays, and only loses its node.
    again
        How the next attempt begins; the loss is counted.
    result
        A provisional result has to be written, failed with code -128.
    ends
        It ends as its stored result says: its recovery script is never run twice.
    """

    status: JobStatus | None = None
    again: Retry | None = None
    result: bool = False
    ends: bool = False


def lost(job: Attempt, node: Node, *, proven: bool, retry: Retry) -> Loss | None:
    """Decide what becomes of a job that a lost node has; None: it stays as it is (§15.4).

    Parameters
    ----------
    proven
        The node is known to be dead; else its lease has run out, and it may still run its jobs unless it fences.
    retry
        What follows for the job if it can be run again (`retry.after_loss`).
    """
    over = proven or node.on_lost == FENCE
    if job.status is JobStatus.PENDING:
        return Loss(status=JobStatus.READY)
    if job.status is JobStatus.RUNNING:
        if job.reason == RECOVERING:
            return Loss(ends=True)
        if over and retry.again:
            return Loss(status=JobStatus.READY, again=retry, result=True)
        return Loss(status=JobStatus.FAILED, result=True)
    return Loss() if over else None
