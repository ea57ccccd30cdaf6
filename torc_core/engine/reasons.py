"""Why a job does not run, from facts that a store knows: one verdict, the checks behind it, and what helps (`observability.md` §2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field

from torc_core.engine.claim import Room, why_never, why_not_now
from torc_core.model import (
    BAD,
    Job,
    JobStatus,
    Json,
    Node,
    NodeState,
    Resources,
    Result,
    Shape,
    Waiting,
    Workflow,
)
from torc_core.model.instants import instant_text
from torc_core.model.resources import GIB, duration_text
from torc_core.record import record

CODES = (
    "uninitialized", "archived", "canceled", "waiting_dependency", "waiting_action", "upstream_failed", "missing_input",
    "no_runner", "no_fitting_node", "not_enough_time", "busy", "label_mismatch", "scheduler_mismatch",
    "allocation_pending", "node_unreachable", "quarantined_node", "retry_delay", "stopping", "running", "done",
)  # fmt: skip
"""Every verdict."""

NAMED = 10
"""Parents, and steps of a chain, that are named."""


@record(frozen=True, slots=True, kw_only=True)
class Seat:
    """A live runner as a claim would see it.

    Parameters
    ----------
    left
        What it has free on all its nodes together, by the records.
    time_left
        Seconds until its allocation ends; None: no end.
    """

    node: Node
    left: Resources
    time_left: int | None = None

    @property
    def usable(self) -> bool:
        """Whether it takes further jobs at all."""
        return not self.node.draining and self.node.state is NodeState.ACTIVE

    def room(self, *, empty: bool = False) -> Room:
        """What fits: now, or when nothing runs there."""
        whole = [self.node.capacity] * self.node.num_nodes
        return Room(
            free=whole, capacity=self.node.capacity, left=None if empty else self.left, time_limit=self.time_left,
            label=self.node.label, scheduler=self.node.scheduler_id,
        )  # fmt: skip


@record(frozen=True, slots=True, kw_only=True)
class Parent:
    """A job that another one waits for."""

    id: int
    name: str
    status: JobStatus


@record(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a job and its surroundings.

    Parameters
    ----------
    parents
        Those it waits for, the open and the bad ones first; `parent_count` counts those that are still open.
    chain
        From the job's parent to the oldest job that holds it up.
    queued
        Allocations that are asked for and do not run yet.
    waits
        Why, as far as a batch system says so of them.
    to_schedule
        Actions that have fired and would ask for allocations, and that nobody has carried out.
    armed
        Actions that will ask for allocations once they fire, each in a sentence.
    decisions
        Why none were asked for, or were not taken, in sentences, the latest first.
    missing_data
        Names of user data that the job reads, nobody writes, and that have no value.
    before
        Ready jobs that a claim takes first; None: not counted.
    """

    job: Job
    workflow: Workflow
    shape: Shape
    now: int
    seats: Sequence[Seat] = ()
    home: Node | None = None
    parents: Sequence[Parent] = ()
    parent_count: int = 0
    chain: Sequence[Parent] = ()
    queued: int = 0
    waits: Sequence[Waiting] = ()
    to_schedule: Sequence[int] = ()
    armed: Sequence[str] = ()
    decisions: Sequence[str] = ()
    missing_data: Sequence[str] = ()
    result: Result | None = None
    before: int | None = None


@record(frozen=True, slots=True, kw_only=True)
class Check:
    """Something that was looked at; `ok`: it is not in the way."""

    code: str
    ok: bool
    text: str
    data: Mapping[str, Json] = field(default_factory=dict)


@record(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a job does not run: `code` and `text` are the verdict; `remedies` are commands or sentences."""

    code: str
    text: str
    checks: Sequence[Check] = ()
    remedies: Sequence[str] = ()


def explain_job(facts: Facts) -> Explanation:
    """The verdict on a job; the first obstacle on its way is the one that counts."""
    job, workflow = facts.job, facts.workflow
    checks: list[Check] = []
    if not job.status.open or job.status is JobStatus.DISABLED:
        return _ended(facts)
    if job.status.live:
        return _live(facts)
    for code, wrong, text, remedy in (
        ("archived", workflow.is_archived, f"workflow {workflow.id} is archived; it hands out no jobs",
         f"torc workflows unarchive {workflow.id}"),
        ("canceled", workflow.is_canceled, f"workflow {workflow.id} is canceled; it hands out no jobs",
         f"torc workflows reset-status {workflow.id}"),
    ):  # fmt: skip
        checks.append(Check(code=code, ok=not wrong, text=text if wrong else f"the workflow is not {code}"))
        if wrong:
            return Explanation(code=code, text=text, checks=checks, remedies=[remedy])
    if job.status is JobStatus.UNINITIALIZED:
        return _uninitialized(facts, checks)
    if job.status is JobStatus.PENDING_FAILED:
        text = f"job {job.id} failed and waits for somebody to decide whether it is tried again"
        return Explanation(
            code="waiting_action", text=text, checks=checks, remedies=[f"torc recover {workflow.id}"]
        )
    if job.status is JobStatus.BLOCKED:
        return _blocked(facts, checks)
    checks.append(Check(code="waiting_dependency", ok=True, text="all that it waited for has ended"))
    return _ready(facts, checks)


def _ended(facts: Facts) -> Explanation:
    job, result = facts.job, facts.result
    bad = [one for one in facts.parents if one.status in BAD]
    if job.status is JobStatus.CANCELED and bad and job.cancel_on_blocking_job_failure and result is None:
        text = f"job {job.id} was canceled because '{bad[0].name}' (job {bad[0].id}) is {bad[0].status.label}"
        check = Check(code="upstream_failed", ok=False, text=text, data={"parents": _listed(bad)})
        return Explanation(
            code="upstream_failed", text=text, checks=[check], remedies=[f"torc jobs explain {bad[0].id}"]
        )
    text = f"job {job.id} is {job.status.label}"
    data: dict[str, Json] = {"status": job.status.label}
    if result is not None:
        data |= {"return_code": result.return_code, "reason": result.reason, "attempt_id": result.attempt_id}
        why = f", {result.reason}" if result.reason else ""
        text += f" with return code {result.return_code} after {duration_text(result.exec_minutes * 60)}{why}"
    helps = [f"torc jobs logs {job.id}"] if job.status in (JobStatus.FAILED, JobStatus.TERMINATED) else []
    return Explanation(
        code="done", text=text, checks=[Check(code="done", ok=True, text=text, data=data)], remedies=helps
    )


def _live(facts: Facts) -> Explanation:
    job, node = facts.job, facts.home
    where = f"node {node.id} ({node.hostname})" if node is not None else "a client that is no node"
    did = "runs" if job.status is JobStatus.RUNNING else "is held"
    since = job.start_time or job.claimed_at
    for_s = None if since is None else max(0, facts.now - since) / 1000
    data: dict[str, Json] = {
        "node": None if node is None else node.id, "seconds": for_s, "declared_seconds": facts.shape.runtime,
    }  # fmt: skip
    if node is not None and node.beats and node.state in (NodeState.UNREACHABLE, NodeState.LOST):
        silent = max(0, facts.now - (node.last_beat or node.start_time)) / 1000
        text = f"job {job.id} {did} on {where}, which has not been heard for {duration_text(silent)}"
        left = max(0.0, node.lease_seconds + 60 - silent)
        check = Check(
            code="node_unreachable", ok=False, text=text, data={**data, "lease_ends_in_seconds": left}
        )
        return Explanation(
            code="node_unreachable", text=text, checks=[check], remedies=[f"see whether {where} still lives"]
        )
    long = "" if for_s is None else f" for {duration_text(for_s)} of {duration_text(facts.shape.runtime)}"
    text = f"job {job.id} {did} on {where}{long}"
    return Explanation(
        code="running", text=text, checks=[Check(code="running", ok=True, text=text, data=data)]
    )


def _uninitialized(facts: Facts, checks: list[Check]) -> Explanation:
    workflow = facts.workflow
    if facts.missing_data:
        names = ", ".join(f"'{name}'" for name in facts.missing_data[:NAMED])
        text = f"the workflow is not initialized, and user data {names} has no value"
        checks.append(
            Check(code="missing_input", ok=False, text=text, data={"user_data": list(facts.missing_data)})
        )
        return Explanation(
            code="missing_input", text=text, checks=checks, remedies=["torc user-data update ID --data JSON"]
        )
    text = f"job {facts.job.id} is not initialized"
    checks.append(Check(code="uninitialized", ok=False, text=text))
    return Explanation(
        code="uninitialized", text=text, checks=checks, remedies=[f"torc workflows init {workflow.id}"]
    )


def _blocked(facts: Facts, checks: list[Check]) -> Explanation:
    waits = [one for one in facts.parents if one.status.open]
    bad = [one for one in facts.parents if one.status in BAD]
    shown = ", ".join(f"'{one.name}' ({one.status.label})" for one in waits[:3])
    more = f" and {facts.parent_count - 3} more" if facts.parent_count > 3 else ""
    text = f"job {facts.job.id} waits for {facts.parent_count} {_jobs(facts.parent_count)}: {shown}{more}"
    if facts.chain:
        last = facts.chain[-1]
        text += f"; what holds it up is '{last.name}' (job {last.id}), which is {last.status.label}"
    data: dict[str, Json] = {
        "parents": _listed(waits), "parent_count": facts.parent_count, "chain": _listed(facts.chain),
    }  # fmt: skip
    checks.append(Check(code="waiting_dependency", ok=False, text=text, data=data))
    if bad:
        checks.append(
            Check(
                code="upstream_failed", ok=True, data={"parents": _listed(bad)},
                text=f"{len(bad)} of its blockers ended badly, and it runs all the same",
            )
        )  # fmt: skip
    last_id = facts.chain[-1].id if facts.chain else waits[0].id if waits else None
    return Explanation(
        code="waiting_dependency", text=text, checks=checks,
        remedies=[] if last_id is None else [f"torc jobs explain {last_id}"],
    )  # fmt: skip


def _ready(facts: Facts, checks: list[Check]) -> Explanation:
    job, workflow = facts.job, facts.workflow
    if job.node_id is not None:
        text = f"job {job.id} was set back while it ran; node {job.node_id} has yet to say that its process is gone"
        checks.append(Check(code="stopping", ok=False, text=text))
        return Explanation(code="stopping", text=text, checks=checks)
    if job.not_before is not None and job.not_before > facts.now:
        left = (job.not_before - facts.now) / 1000
        text = f"job {job.id} is tried again in {duration_text(left)} (attempt {job.attempt_id})"
        checks.append(Check(code="retry_delay", ok=False, text=text, data={"seconds": left}))
        return Explanation(code="retry_delay", text=text, checks=checks)
    if not facts.seats:
        return _nobody(facts, checks)
    checks.append(Check(code="no_runner", ok=True, text=f"{len(facts.seats)} {_runners(len(facts.seats))}"))
    labels = sorted({str(one.node.label) for one in facts.seats if one.node.label})
    fitting = [one for one in facts.seats if one.node.label == facts.shape.label]
    if not fitting:
        want = f"the label '{job.label}'" if job.label else "no label"
        text = f"job {job.id} carries {want}, and no live runner serves that"
        checks.append(Check(code="label_mismatch", ok=False, text=text, data={"labels": list(labels)}))
        start = f"torc run {workflow.id}" + (f" --label {job.label}" if job.label else "")
        return Explanation(code="label_mismatch", text=text, checks=checks, remedies=[start])
    return _among(facts, fitting, checks)


def _nobody(facts: Facts, checks: list[Check]) -> Explanation:
    workflow = facts.workflow
    if facts.queued:
        text = f"no runner is there yet; {_queued(facts)}"
        checks.append(_pending(facts, text))
        return Explanation(
            code="allocation_pending", text=text, checks=checks, remedies=_never(facts.waits, workflow.id)
        )
    if facts.to_schedule:
        text = f"no runner is there; {_due(facts)}"
        checks.append(
            Check(code="waiting_action", ok=False, text=text, data={"actions": list(facts.to_schedule)})
        )
        return Explanation(
            code="waiting_action", text=text, checks=checks, remedies=[f"torc submit {workflow.id}"]
        )
    if facts.armed:
        text = f"no runner is there, and none is on its way; {facts.armed[0]}"
        checks.append(Check(code="waiting_action", ok=False, text=text))
        return Explanation(
            code="waiting_action", text=text, checks=[*checks, *_decided(facts)],
            remedies=[f"torc slurm schedule-nodes {workflow.id}"],
        )  # fmt: skip
    text = "no runner works on the workflow, and none is on its way"
    if facts.decisions:
        text += f": {facts.decisions[0]}"
    checks.append(Check(code="no_runner", ok=False, text=text))
    helps = [f"torc submit {workflow.id}" if facts.decisions else f"torc run {workflow.id}"]
    return Explanation(code="no_runner", text=text, checks=[*checks, *_decided(facts)], remedies=helps)


def _queued(facts: Facts) -> str:
    """How many allocations wait, for what, and until when the first of them is expected to."""
    text = f"{facts.queued} {'allocation is' if facts.queued == 1 else 'allocations are'} queued"
    counts = Counter(one.text for one in facts.waits if one.text)
    if counts:
        told = (
            f"{count} of them: {why}" if facts.queued > 1 else why for why, count in counts.most_common(NAMED)
        )
        text += f" ({'; '.join(told)})"
    if (first := _first(facts.waits)) is not None:
        text += f"; the first is estimated to start in {duration_text(max(0.0, (first - facts.now) / 1000))}"
    return text


def _pending(facts: Facts, text: str) -> Check:
    first = _first(facts.waits)
    data: dict[str, Json] = {
        "allocations": facts.queued,
        "reasons": dict(Counter(one.reason for one in facts.waits if one.reason)),
        "estimated_start": None if first is None else instant_text(first),
    }
    return Check(code="allocation_pending", ok=False, text=text, data=data)


def _first(waits: Sequence[Waiting]) -> int | None:
    return min((one.start for one in waits if one.start is not None), default=None)


def _never(waits: Sequence[Waiting], workflow: int) -> list[str]:
    """What helps against allocations that will never start."""
    stuck = bool(waits) and all("never start" in one.text for one in waits)
    return [f"torc cancel {workflow}", f"torc slurm regenerate {workflow} --submit"] if stuck else []


def _due(facts: Facts) -> str:
    """Which actions have fired, and that nobody has carried them out."""
    numbers = [str(one) for one in facts.to_schedule[:NAMED]]
    if len(numbers) == 1:
        return f"action {numbers[0]} is due: it would ask for one, and nobody has carried it out"
    return f"actions {', '.join(numbers)} are due: they would ask for some, and nobody has carried them out"


def _among(facts: Facts, seats: Sequence[Seat], checks: list[Check]) -> Explanation:
    """The verdict on a ready job, among runners of its label."""
    shape, job = facts.shape, facts.job
    obstacles = [(one, why_never(shape, one.room(empty=True))) for one in seats]
    could = [one for one, obstacle in obstacles if obstacle is None]
    checks += [_fit(one, obstacle, shape) for one, obstacle in obstacles[:NAMED]]
    if not could:
        late = [one for one, obstacle in obstacles if obstacle == "time"]
        if late:
            most = max(one.time_left or 0 for one in late)
            text = (
                f"job {job.id} needs {duration_text(shape.runtime)}, but no runner has more than "
                f"{duration_text(most)} left"
            )
            return Explanation(
                code="not_enough_time", text=text, checks=checks, remedies=["ask for longer allocations"]
            )
        best, obstacle = min(obstacles, key=lambda pair: _closeness(pair[0], shape))
        text = f"job {job.id} fits no runner: {_lack(best, obstacle or '', shape)}"
        helps = [
            f"torc run {facts.workflow.id} on a larger machine",
            f"torc resource-requirements update {job.requirement_id}",
        ]
        return Explanation(code="no_fitting_node", text=text, checks=checks, remedies=helps)
    usable = [one for one in could if one.usable]
    if not usable:
        return _unusable(facts, could, checks)
    own = [one for one in usable if shape.scheduler in (None, one.node.scheduler_id)]
    if not own:
        text = (
            f"job {job.id} belongs to scheduler {shape.scheduler}, of which no runner is there; others take it only "
            f"when they find nothing of their own"
        )
        checks.append(Check(code="scheduler_mismatch", ok=False, text=text, data={"queued": facts.queued}))
        return Explanation(
            code="scheduler_mismatch", text=text, checks=[*checks, *_coming(facts)],
            remedies=[f"torc submit {facts.workflow.id}"] if facts.to_schedule else [],
        )  # fmt: skip
    free = [one for one in own if why_not_now(shape, one.room()) is None]
    data: dict[str, Json] = {"jobs_ahead": facts.before, "nodes": [one.node.id for one in own[:NAMED]]}
    line = "" if facts.before is None else f"; {facts.before} ready {_jobs(facts.before)} come before it"
    if free:
        text = f"job {job.id} fits node {free[0].node.id} ({free[0].node.hostname}) now{line}"
    else:
        first = own[0].node
        text = f"job {job.id} fits node {first.id} ({first.hostname}), which is occupied{line}"
    checks.append(Check(code="busy", ok=bool(free), text=text, data={**data, "has_room": bool(free)}))
    return Explanation(code="busy", text=text, checks=[*checks, *_coming(facts)])


def _decided(facts: Facts) -> list[Check]:
    """Why no allocation was asked for."""
    return [Check(code="no_runner", ok=False, text=one) for one in facts.decisions]


def _coming(facts: Facts) -> list[Check]:
    """More runners that are on their way, or would be."""
    found = []
    if facts.queued:
        found.append(_pending(facts, _queued(facts)))
    if facts.to_schedule:
        data: dict[str, Json] = {"actions": list(facts.to_schedule)}
        found.append(Check(code="waiting_action", ok=False, text=_due(facts), data=data))
    return [*found, *_decided(facts)]


def _unusable(facts: Facts, could: Sequence[Seat], checks: list[Check]) -> Explanation:
    job = facts.job
    drained = [one.node for one in could if one.node.draining]
    if drained:
        text = f"job {job.id} fits only nodes that were told to drain, such as node {drained[0].id} ({drained[0].hostname})"
        checks.append(
            Check(
                code="quarantined_node", ok=False, text=text, data={"nodes": [one.id for one in drained[:NAMED]]}
            )
        )  # fmt: skip
        return Explanation(code="quarantined_node", text=text, checks=checks)
    silent = could[0].node
    text = f"job {job.id} fits only nodes that are silent, such as node {silent.id} ({silent.hostname})"
    checks.append(Check(code="node_unreachable", ok=False, text=text, data={"nodes": [silent.id]}))
    return Explanation(code="node_unreachable", text=text, checks=checks)


def _fit(seat: Seat, obstacle: str | None, shape: Shape) -> Check:
    node = seat.node
    name = f"node {node.id} ({node.hostname})"
    data: dict[str, Json] = {"node": node.id, "dimension": obstacle}
    if obstacle is None:
        return Check(code="no_fitting_node", ok=True, text=f"it fits {name} when that is empty", data=data)
    code = "not_enough_time" if obstacle == "time" else "no_fitting_node"
    return Check(code=code, ok=False, text=_lack(seat, obstacle, shape), data=data)


def _lack(seat: Seat, obstacle: str, shape: Shape) -> str:
    node, has = seat.node, seat.node.capacity
    name = f"node {node.id} ({node.hostname})"
    return {
        "cpus": f"it needs {shape.cpus} CPUs, {name} has {has.cpus}",
        "memory": f"it needs {shape.memory / GIB:.1f} GiB of memory, {name} has {has.memory / GIB:.1f} GiB",
        "gpus": f"it needs {shape.gpus} GPUs, {name} has {has.gpus}",
        "nodes": f"it needs {shape.nodes} nodes, {name} has {node.num_nodes}",
        "time": f"it needs {duration_text(shape.runtime)}, {name} has {duration_text(seat.time_left or 0)} left",
    }.get(obstacle, f"it needs more at once than {name} has")


def _closeness(seat: Seat, shape: Shape) -> tuple[int, ...]:
    """How much a runner lacks, the least first."""
    has = seat.node.capacity
    return (
        max(0, shape.nodes - seat.node.num_nodes), max(0, shape.gpus - has.gpus), max(0, shape.memory - has.memory),
        max(0, shape.cpus - has.cpus), seat.node.id,
    )  # fmt: skip


def _listed(parents: Sequence[Parent]) -> list[Json]:
    return [{"job_id": one.id, "job_name": one.name, "status": one.status.label} for one in parents[:NAMED]]


def _jobs(count: int) -> str:
    return "job" if count == 1 else "jobs"


def _runners(count: int) -> str:
    return "runner is there" if count == 1 else "runners are there"
