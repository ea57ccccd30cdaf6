"""Figures for monitoring, as Prometheus reads them (`wire.md` X20, `observability.md` §9)."""

from __future__ import annotations

import hmac
import os
import resource
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torc_core import __version__
from torc_core.engine.liveness import seen
from torc_core.errors import NotFound
from torc_core.model import Allocation, JobStatus, Node, Query, Totals, Workflow
from torc_http.call import Answer, Call, Owner
from torc_http.counting import BOUNDS, Counts, Histogram
from torc_http.figures import Figures
from torc_http.routes import Route

if TYPE_CHECKING:
    from torc_http.call import Principal, Service

MOST_WORKFLOWS = 50
"""Unfinished workflows with series of their own, the newest ones; the rest is `other`."""

LOOKED_AT = 200
"""Newest workflows among which they are looked for."""

LIVE = (JobStatus.READY, JobStatus.PENDING, JobStatus.RUNNING, JobStatus.BLOCKED, JobStatus.UNINITIALIZED)
STARTED = time.time()


def with_token(environ: Mapping[str, Any], service: Service) -> Principal | None:
    """Who calls with the token of the figures; None: somebody whom the gate has to know."""
    scheme, _, given = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = _settings(service).token
    if token is None or not hmac.compare_digest(given.strip().encode(), token.encode()):
        return None
    return Owner(kind="metrics", name="metrics", established="token")


def _settings(service: Service) -> Figures:
    found = (service.parts or {}).get("metrics")
    return found if isinstance(found, Figures) else Figures()


def metrics(call: Call) -> object:
    """Everything that the server knows in figures; no names of jobs, users or hosts."""
    settings = _settings(call.service)
    if not settings.enabled:
        raise NotFound("this server tells no figures (server.metrics is false)")
    parts = call.service.parts or {}
    lines = [
        line
        for piece in (
            _build(),
            _process(),
            _counted(parts.get("counts") or Counts()),
            _open(parts),
            _stored(settings.database),
            _workflows(call),
            _nodes(call),
            _allocations(call),
            _asked(parts),
        )
        for line in piece
    ]
    text = "\n".join(lines) + "\n"
    return Answer(raw=text.encode(), content_type="text/plain; version=0.0.4; charset=utf-8")


Labels = Mapping[str, object]


def _series(name: str, kind: str, about: str, values: Sequence[tuple[Labels, float]]) -> Iterator[str]:
    if not values:
        return
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    for labels, value in values:
        yield f"{name}{_labels(labels)} {_number(value)}"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    written = ",".join(f'{key}="{_escaped(str(value))}"' for key, value in labels.items())
    return f"{{{written}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))


def _histogram(name: str, about: str, found: Sequence[tuple[Labels, Histogram]]) -> Iterator[str]:
    if not found:
        return
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} histogram"
    for labels, one in found:
        pieces, count = list(one.pieces), 0
        for bound, piece in zip((*map(str, BOUNDS), "+Inf"), pieces, strict=True):
            count += piece
            yield f"{name}_bucket{_labels({**labels, 'le': bound})} {count}"
        yield f"{name}_sum{_labels(labels)} {_number(one.total)}"
        yield f"{name}_count{_labels(labels)} {count}"


def _build() -> Iterator[str]:
    yield from _series("torc_build_info", "gauge", "The version.", [({"version": __version__}, 1)])


def _process() -> Iterator[str]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield from _series(
        "process_cpu_seconds_total", "counter", "Processor time.", [({}, used.ru_utime + used.ru_stime)]
    )
    yield from _series("process_start_time_seconds", "gauge", "When it began, since 1970.", [({}, STARTED)])
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        files = len(os.listdir("/proc/self/fd"))
    except (OSError, ValueError, IndexError):
        return
    memory = pages * os.sysconf("SC_PAGE_SIZE")
    yield from _series("process_resident_memory_bytes", "gauge", "Memory.", [({}, memory)])
    yield from _series("process_open_fds", "gauge", "Open files.", [({}, files)])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield from _series("process_max_fds", "gauge", "Files that may be open.", [({}, most)])


def _counted(counts: Counts) -> Iterator[str]:
    requests = [
        ({"route": route, "method": method, "code": code}, number)
        for (route, method, code), number in sorted(counts.requests.copy().items())
    ]
    yield from _series("torc_http_requests_total", "counter", "Requests.", requests)
    seconds = [({"route": route}, one) for route, one in sorted(dict(counts.seconds).items())]
    yield from _histogram("torc_http_request_seconds", "How long requests took.", seconds)
    claims = [({"outcome": outcome}, number) for outcome, number in sorted(counts.claims.copy().items())]
    yield from _series("torc_claims_total", "counter", "Claims.", claims)
    yield from _series("torc_claim_jobs_total", "counter", "Jobs given to claims.", [({}, counts.claimed)])
    reasons = [({"reason": reason}, number) for reason, number in sorted(counts.failures.copy().items())]
    yield from _series("torc_job_failures_total", "counter", "Jobs that ended badly.", reasons)
    for name, about in (
        ("late_results", "Results that were not taken."), ("leases_expired", "Runners that were given up."),
    ):  # fmt: skip
        yield from _series(f"torc_{name}_total", "counter", about, [({}, counts.others[name])])
    refused = sum(number for (_, _, code), number in counts.requests.copy().items() if code == "401")
    yield from _series(
        "torc_auth_failures_total", "counter", "Requests without a valid credential.", [({}, refused)]
    )


def _open(parts: Mapping[str, Any]) -> Iterator[str]:
    turns, streams, running = parts.get("turns"), parts.get("streams"), parts.get("running")
    gauges = (
        ("torc_held_claims", "Claims that wait.", len(turns) if turns is not None else 0),
        ("torc_sse_streams", "Open event streams.", len(streams) if streams is not None else 0),
        (
            "torc_open_connections",
            "Open connections.",
            running.connections if running is not None else 0,
        ),
    )
    for name, about, value in gauges:
        yield from _series(name, "gauge", about, [({}, value)])


def _stored(database: Path | None) -> Iterator[str]:
    if database is None:
        return
    for name, path in (("torc_db_bytes", database), ("torc_db_wal_bytes", Path(f"{database}-wal"))):
        try:
            size = path.stat().st_size
        except OSError:
            size = 0
        yield from _series(name, "gauge", "Size of the database file.", [({}, size)])


def _workflows(call: Call) -> Iterator[str]:
    store = call.service.store
    newest = store.find(Workflow, Query(where={"is_archived": False}, reverse=True, limit=LOOKED_AT)).items
    totals = store.totals([one.id for one in newest]) if newest else []
    own, other = _split(totals)
    jobs: list[tuple[Labels, float]] = [
        ({"workflow": one.workflow.id, "status": status.label}, one.counts.get(status, 0))
        for one in own
        for status in JobStatus
        if one.counts.get(status) or status in LIVE
    ]
    jobs += [({"workflow": "other", "status": status}, number) for status, number in sorted(other.items())]
    yield from _series("torc_jobs", "gauge", "Jobs by status.", jobs)
    left: list[tuple[Labels, float]] = [({"workflow": one.workflow.id}, one.total - one.done) for one in own]
    yield from _series("torc_workflow_remaining_jobs", "gauge", "Jobs that have yet to end.", left)
    counts: Counts = (call.service.parts or {}).get("counts") or Counts()
    shown = {one.workflow.id for one in own}
    ends: Counter[tuple[str, str]] = Counter()
    for (workflow, status), number in counts.ends.copy().items():
        ends[str(workflow) if workflow in shown else "other", status] += number
    values = [
        ({"workflow": name, "status": status}, number) for (name, status), number in sorted(ends.items())
    ]
    yield from _series("torc_job_completions_total", "counter", "Ends of jobs.", values)


def _split(totals: Sequence[Totals]) -> tuple[Sequence[Totals], Counter[str]]:
    """The workflows that have series of their own, and the jobs of the others by status."""
    own = [one for one in totals if not one.complete][:MOST_WORKFLOWS]
    shown = {one.workflow.id for one in own}
    other: Counter[str] = Counter()
    for one in totals:
        if one.workflow.id not in shown:
            other.update({status.label: number for status, number in one.counts.items() if number})
    return own, other


def _nodes(call: Call) -> Iterator[str]:
    store, now = call.service.store, call.clock.now()
    states: Counter[str] = Counter()
    oldest = 0.0
    for workflow in _living(call):
        for one in store.find(Node, Query(workflow=workflow, where={"is_active": True})).items:
            states[seen(one, now).value] += 1
            if one.beats and one.last_beat is not None:
                oldest = max(oldest, (now - one.last_beat) / 1000)
    values = [({"state": state}, number) for state, number in sorted(states.items())]
    yield from _series("torc_compute_nodes", "gauge", "Runners.", values or [({"state": "active"}, 0)])
    name = "torc_compute_node_heartbeat_age_seconds"
    yield from _series(
        name, "gauge", "Since the last sign of life of the most silent runner.", [({}, oldest)]
    )


def _allocations(call: Call) -> Iterator[str]:
    found: Counter[tuple[str, str]] = Counter()
    for workflow in _living(call):
        for one in call.service.store.find(Allocation, Query(workflow=workflow)).items:
            found[one.scheduler_type, one.status.value] += 1
    values = [
        ({"scheduler": kind, "status": status}, number) for (kind, status), number in sorted(found.items())
    ]
    yield from _series("torc_allocations", "gauge", "Allocations of batch systems.", values)


def _asked(parts: Mapping[str, Any]) -> Iterator[str]:
    """Questions to batch systems by this user from this host (`slurm.md` RB4)."""
    tender = parts.get("tender")
    calls = {} if tender is None else tender.calls()
    values = [
        ({"scheduler": name, "command": command}, number) for (name, command), number in sorted(calls.items())
    ]
    yield from _series("torc_batch_calls_per_minute", "gauge", "Calls of commands of batch systems.", values)


def _living(call: Call) -> Sequence[Any]:
    """Workflows that a runner or an allocation may be there for."""
    query = Query(where={"is_archived": False}, reverse=True, limit=MOST_WORKFLOWS)
    return [one.id for one in call.service.store.find(Workflow, query).items]


ROUTES = (
    Route(
        method="GET", path="/metrics", operation_id="metrics", access="admin", group="x", handler=metrics, x=True,
        outside=True, knows=with_token, summary="Figures for monitoring.",
    ),
)  # fmt: skip
