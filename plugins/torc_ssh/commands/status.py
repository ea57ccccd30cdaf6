"""`torc remote status`: which workers run, by what their hosts say and what the store knows (`remote.md` §6.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torc_core.given import Given
from torc_core.model import (
    Job,
    JobStatus,
    Json,
    Node,
    NodeState,
    Query,
    RemoteWorker,
    Totals,
    Value,
    WorkflowId,
)
from torc_core.model.resources import GIB, duration_text
from torc_core.session import Session
from torc_ssh.commands.hosts import Fleet, Host, OutputDir, Reach, output_dir, selected, status_of, stored
from torc_ssh.commands.standing import last_seen, nodes_by_worker, seconds_since, state_of
from torc_ssh.fleet import Outcome
from torc_ssh.tunnel.control import asked
from torc_ssh.tunnel.places import files
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import Column, instant
from torc_terminal.selector import workflow as chosen_workflow

IDLE = 120
"""Seconds without jobs after which the reason is looked for (`remote.md` §12)."""

STATES = {"running", "starting", "not running", "stale", "unreachable", "unknown"}


def _uptime(item: Mapping[str, Json]) -> str:
    value = item.get("uptime_seconds")
    return duration_text(value) if isinstance(value, int | float) else ""


def _seen(item: Mapping[str, Json]) -> str:
    value = item.get("last_seen_seconds")
    return f"{value} s ago" if isinstance(value, int) else ""


def _free(item: Mapping[str, Json]) -> str:
    cpus, memory = item.get("cpus_free"), item.get("memory_free_bytes")
    return f"{cpus} / {memory / GIB:.1f}g" if isinstance(cpus, int) and isinstance(memory, int) else ""


COLUMNS = (
    Column(title="Host", key="worker"),
    Column(title="Status", key="status"),
    Column(title="PID", key="pid", right=True),
    Column(title="Jobs running", key="jobs_running", right=True),
    Column(title="CPU/mem free", key="cpus_free", right=True, show=_free),
    Column(title="Uptime", key="uptime_seconds", right=True, show=_uptime),
    Column(title="Last seen", key="last_seen_seconds", right=True, show=_seen),
    Column(title="Note", key="note"),
)


def status(
    workflow: str | None = None,
    /,
    *,
    output_dir: OutputDir = None,
    reach: Reach | None = None,
    no_ssh: Flag = False,
    session: Given,
) -> Report:
    """Show which workers run.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    output_dir
        Output directory on the machines; normally that of the last start.
    no_ssh
        Connect to no machine: what the store knows from their beats.
    """
    reach = reach or Reach()
    parallel = reach.parallel(session)
    number = chosen_workflow(session, workflow)
    workers = selected(stored(session, number), reach.hosts)
    nodes = nodes_by_worker(session, number)
    (totals,) = session.store().totals([number])
    store_id = session.store().server_id
    taken = _taken(session, number, nodes)
    why = _why_idle(session, number, workers, nodes, taken)
    tunnels = _tunnels(session, store_id, number, workers)
    session.close()
    outcomes: Sequence[Outcome[Host, dict[str, Json]] | None] = [None] * len(workers)
    if not no_ssh and workers:
        with Fleet(session, workers, parallel=parallel) as fleet:
            outcomes = fleet.over(
                lambda host: _ask(session, host, store_id, number, output_dir),
                "asking",
                # Who has been silent for longest may be dead: waiting for it begins at once.
                first=lambda host: last_seen(nodes.get(host.name)) or 0,
            )
    now = session.clock.now()
    items = [
        _item(one, outcome, nodes.get(one.worker), taken, now, why.get(one.worker), tunnels.get(one.worker))
        for one, outcome in zip(workers, outcomes, strict=True)
    ]
    running = sum(1 for one in items if one["status"] == "running")
    if not workers and session.format == "table":
        session.note(f"No remote workers stored for workflow {number}")
    return Report(
        schema="torc.remote.status/1",
        data={
            "workflow_id": number, "is_complete": totals.complete, "items": items, "running": running,
            "count": len(items),
        },
        rows=items,
        columns=COLUMNS if items else (),
        noun="remote workers",
        hint=f"{running}/{len(items)} workers running" if items else None,
        exit_code=0 if running == len(items) or _over(totals) else 1,
    )  # fmt: skip


def _over(totals: Totals) -> bool:
    return totals.complete


def _ask(
    session: Session, host: Host, store_id: str, number: WorkflowId, given: str | None
) -> dict[str, Json]:
    asked_for: dict[str, Json] = {
        "store_id": store_id, "workflow": number, "output_dir": output_dir(session, host.worker, given),
    }  # fmt: skip
    return host.ask("status", asked_for)


def _item(
    worker: RemoteWorker,
    outcome: Outcome[Host, dict[str, Json]] | None,
    node: Node | None,
    taken: Mapping[int, tuple[int, int, int]],
    now: int,
    why: str | None,
    tunnel: str | None,
) -> dict[str, Json]:
    notes = [tunnel] if tunnel else []
    seen = seconds_since(node, now)
    pid: Json = node.pid if node is not None and node.state is not NodeState.ENDED else None
    started: float | None = node.start_time / 1000 if node is not None and pid is not None else None
    if outcome is None:
        state = state_of(worker, {worker.worker: node} if node is not None else {})
        state = state if state in STATES else "not running"
    elif outcome.ok:
        told = outcome.result
        state = str(told.get("status"))
        pid = told.get("pid") if state != "not running" else None
        since = told.get("started_at")
        started = (
            float(since) if isinstance(since, int | float) and state in ("running", "starting") else None
        )
        if state == "not running" and told.get("exit_code") is not None:
            notes.append(f"ended with code {told['exit_code']}")
        if state == "stale":
            notes.append("its process is gone; the next 'remote run' starts another")
            pid = None
        if state not in STATES:
            state, pid = "unknown", None
            notes.append("the answer of its torc is not understood")
    else:
        kind = status_of(outcome.error)
        state = "unreachable" if kind == "unreachable" else "unknown"
        notes.append(str(outcome.error))
        if (
            kind == "unreachable"
            and node is not None
            and node.state is NodeState.ACTIVE
            and isinstance(seen, int)
        ):
            notes.append(f"last seen {seen} s ago: the worker lives, the way from here to it does not")
    if state == "running" and why:
        notes.append(why)
    jobs, cpus, memory = taken.get(node.id, (0, 0, 0)) if node is not None else (0, 0, 0)
    there = node is not None and state in ("running", "starting")
    return {
        "worker": worker.worker,
        "status": state,
        "pid": pid,
        "compute_node_id": None if node is None else node.id,
        "jobs_running": jobs if node is not None else None,
        "cpus_free": max(0, node.capacity.cpus - cpus) if there and node is not None else None,
        "memory_free_bytes": max(0, node.capacity.memory - memory) if there and node is not None else None,
        "uptime_seconds": None if started is None else max(0.0, round(now / 1000 - started, 1)),
        "last_seen": instant(last_seen(node)),
        "last_seen_seconds": seen,
        "store_state": None if node is None else node.state.value,
        "tunnel": tunnel,
        "note": "; ".join(notes) or None,
    }


def _taken(
    session: Session, number: WorkflowId, nodes: Mapping[str, Node]
) -> Mapping[int, tuple[int, int, int]]:
    """By runner: how many jobs run there, and how many CPUs and bytes they have."""
    found: dict[int, tuple[int, int, int]] = {}
    ids = tuple(node.id for node in nodes.values() if node.is_active)
    if not ids:
        return found
    from torc_core.model import Requirement

    store = session.store()
    needs = {one.id: one for one in store.find(Requirement, Query(workflow=number, limit=2**31)).items}
    where: dict[str, Value | Sequence[Value]] = {"node_id": ids, "status": int(JobStatus.RUNNING)}
    for job in store.find(Job, Query(workflow=number, where=where, limit=2**31)).items:
        if job.node_id is not None:
            need = needs.get(job.requirement_id) if job.requirement_id is not None else None
            jobs, cpus, memory = found.get(job.node_id, (0, 0, 0))
            found[job.node_id] = (
                jobs + 1,
                cpus + (need.num_cpus if need else 1),
                memory + (need.memory_bytes if need else 0),
            )
    return found


def _why_idle(
    session: Session,
    number: WorkflowId,
    workers: Sequence[RemoteWorker],
    nodes: Mapping[str, Node],
    taken: Mapping[int, tuple[int, int, int]],
) -> Mapping[str, str]:
    """Why workers that have been there for a while have nothing to do."""
    now = session.clock.now()
    idle = {
        one.worker: node
        for one in workers
        if (node := nodes.get(one.worker)) is not None
        and node.state is NodeState.ACTIVE
        and not taken.get(node.id)
        and now - node.start_time > IDLE * 1000
    }
    if not idle:
        return {}
    from torc_core.model import Requirement

    store = session.store()
    (totals,) = store.totals([number])
    if not totals.initialized:
        return dict.fromkeys(idle, f"no jobs: the workflow is not initialized (torc status {number})")
    ready: dict[str, Value | Sequence[Value]] = {"status": int(JobStatus.READY)}
    waiting = store.find(Job, Query(workflow=number, where=ready, limit=1_000)).items
    if not waiting:
        return dict.fromkeys(idle, f"no jobs are ready (torc jobs list {number} -s ready)")
    wanted = {job.requirement_id for job in waiting}
    needs = [
        one for one in store.find(Requirement, Query(workflow=number, limit=2**31)).items if one.id in wanted
    ]
    if not needs:
        return {}
    least = min(needs, key=lambda one: (one.num_cpus, one.memory_bytes))
    found = {}
    for name, node in idle.items():
        has = node.capacity
        if least.num_cpus > has.cpus:
            found[name] = f"no jobs: needs {least.num_cpus} CPUs, host has {has.cpus}"
        elif least.memory_bytes > has.memory:
            found[name] = (
                f"no jobs: needs {least.memory_bytes / GIB:.1f}g of memory, host has {has.memory / GIB:.1f}g"
            )
        elif least.num_gpus > has.gpus:
            found[name] = f"no jobs: needs {least.num_gpus} GPUs, host has {has.gpus}"
    return found


def _tunnels(
    session: Session, store_id: str, number: WorkflowId, workers: Sequence[RemoteWorker]
) -> Mapping[str, str]:
    """How the tunnels of workers are that have one."""
    with_tunnel = [one.worker for one in workers if (one.options or {}).get("tunnel") is True]
    if not with_tunnel:
        return {}
    told = asked(files(session.config.environ, store_id, number), {})
    about = told.get("workers", {}) if told is not None else {}
    now = session.clock.now() / 1000
    found = {}
    for name in with_tunnel:
        since = about.get(name, {}).get("since")
        up = isinstance(since, int | float)
        found[name] = f"tunnel: up {duration_text(max(0, now - since))}" if up else "tunnel: down"
    return found
