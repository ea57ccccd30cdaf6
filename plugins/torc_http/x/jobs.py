"""Jobs set back, stopped and read (`wire.md` §7.6)."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from marshmallow import Schema

from torc_core.errors import Invalid, NotFound
from torc_core.model import Job, JobId, JobStatus, Node, NodeId, Query, Reset, Result, WorkflowId
from torc_core.record import record
from torc_http.call import Call
from torc_http.routes import MIB, Route
from torc_http.wire.fields import Anything, Choice, Flag, Ids, Int, Plain, Text

GROUP = "x"
ERRORS = (403, 404, 409, 422)
SUFFIXES: Mapping[str, str] = {"stdout": ".o", "stderr": ".e", "combined": ".log"}


class ResetBody(Schema):
    """Which jobs run again."""

    model = "XResetRequest"

    job_ids = Ids(required=True)
    downstream = Flag()
    force = Flag()
    reason = Text()


class StopBody(Schema):
    """Which jobs end."""

    model = "XStopRequest"

    job_ids = Ids(required=True)
    stop = Choice("cancel", "terminate", required=True)
    reason = Text()


class LogQuery(Schema):
    """Which stream of which attempt, and which part of it."""

    stream = Choice(*SUFFIXES, load_default="stdout")
    run = Int(minimum=0)
    attempt = Int(minimum=1)
    tail = Int(minimum=0)
    offset = Int(minimum=0)


def reset(call: Call) -> object:
    """Open ended jobs of one workflow again."""
    body = call.body
    workflow = _one_workflow(call, body["job_ids"])
    how = Reset(
        jobs=[JobId(one) for one in body["job_ids"]], downstream=body.get("downstream", True), force=body.get("force", False),
        reason=body.get("reason"),
    )  # fmt: skip
    progress = call.store.reset(workflow, how)
    return {"workflow_id": workflow, "run_id": progress.run_id, "moved": dict(progress.moved)}


def stop(call: Call) -> object:
    """Cancel or terminate single jobs."""
    body = call.body
    _one_workflow(call, body["job_ids"])
    progress = call.store.stop(
        [JobId(one) for one in body["job_ids"]], terminate=body["stop"] == "terminate", reason=body.get("reason")
    )  # fmt: skip
    return {"workflow_id": progress.workflow, "run_id": progress.run_id, "moved": dict(progress.moved)}


def _one_workflow(call: Call, ids: list[int]) -> WorkflowId:
    """The workflow that all these jobs belong to.

    Raises
    ------
    Invalid
        If there is no job, or they are of several workflows.
    """
    if not ids:
        raise Invalid("job_ids is empty; name at least one job", details={"field": "job_ids", "value": []})
    found = sorted(set(call.store.owner_of(Job, ids)))
    if len(found) > 1:
        raise Invalid(
            f"job_ids: one call is for one workflow, but these jobs belong to {found[0]} and {found[1]}",
            details={"field": "job_ids", "value": ids[0]},
        )
    return found[0]


@record(frozen=True, slots=True, kw_only=True)
class _Attempt:
    run_id: int
    attempt_id: int
    node: NodeId | None


def log(call: Call) -> object:
    """A part of what an attempt wrote: at most 1 MiB, from the end or from an offset."""
    job, query = call.store.get(Job, call.id), call.query
    attempt = _attempt(call, job)
    if attempt is None or attempt.node is None:
        raise NotFound(f"job {job.id} has no such attempt on a node; it has written nothing")
    folder = call.store.get(Node, attempt.node).output_dir
    stem = f"job_wf{job.workflow_id}_j{job.id}_r{attempt.run_id}_a{attempt.attempt_id}"
    found = _piece(folder, stem + SUFFIXES[query["stream"]], query.get("tail"), query.get("offset"))
    if found is None:
        raise NotFound(
            f"the {query['stream']} of job {job.id}, attempt {attempt.attempt_id} is not visible on this server"
        )
    content, offset, size = found
    return {
        "job_id": job.id, "run_id": attempt.run_id, "attempt_id": attempt.attempt_id, "stream": query["stream"],
        "size_bytes": size, "offset": offset, "next_offset": offset + len(content),
        "content": content.decode("utf-8", "replace"),
    }  # fmt: skip


def _attempt(call: Call, job: Job) -> _Attempt | None:
    """The attempt that is meant: without numbers the one that runs, else the last that ended."""
    run, number = call.query.get("run"), call.query.get("attempt")
    live = job.status is JobStatus.RUNNING
    if live and number in (None, job.attempt_id) and run in (None, 0, job.run_id):
        return _Attempt(run_id=job.run_id, attempt_id=job.attempt_id, node=job.node_id)
    where: dict[str, Plain] = {"job_id": job.id}
    if number is not None:
        where["attempt_id"] = number
    if run:
        where["run_id"] = run
    query = Query(workflow=job.workflow_id, where=where, reverse=True, limit=1)
    for one in call.store.find(Result, query).items:
        return _Attempt(run_id=one.run_id, attempt_id=one.attempt_id, node=one.node_id)
    return None


def _piece(
    folder: str | None, name: str, tail: int | None, offset: int | None
) -> tuple[bytes, int, int] | None:
    """At most 1 MiB of a file of a recorded output folder, where it begins, and how long the file is; no link is followed.

    Each step is opened below the one before (`security.md` D4): what lies elsewhere cannot be reached.
    """
    if not folder or not os.path.isabs(folder):
        return None
    opened: list[int] = []
    try:
        opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        opened.append(os.open("job_stdio", flags, dir_fd=opened[-1]))
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        opened.append(os.open(name, flags, dir_fd=opened[-1]))
        about = os.fstat(opened[-1])
        if not stat.S_ISREG(about.st_mode):
            return None
        size = about.st_size
        start = min(offset, size) if offset is not None else max(0, size - MIB)
        content = os.pread(opened[-1], MIB, start)
        if tail is not None:
            content, cut = _last_lines(content, tail)
            start += cut
        return content, start, size
    except (OSError, ValueError):
        return None
    finally:
        for one in reversed(opened):
            os.close(one)


def _last_lines(content: bytes, count: int) -> tuple[bytes, int]:
    """The last lines of a text, and how many bytes come before them."""
    end = len(content) - 1 if content.endswith(b"\n") else len(content)
    at = len(content) if not count else end
    for _ in range(count):
        at = content.rfind(b"\n", 0, at)
        if at < 0:
            return content, 0
    cut = at + 1 if count else at
    return content[cut:], cut


ROUTES = (
    Route(
        method="POST", path="/x/jobs/reset", operation_id="x_reset_jobs", access="operate", group=GROUP, handler=reset,
        body=ResetBody(), answer=Anything(), size="batch", statuses=ERRORS, x=True, summary="Open ended jobs again.",
    ),
    Route(
        method="POST", path="/x/jobs/stop", operation_id="x_stop_jobs", access="operate", group=GROUP, handler=stop,
        body=StopBody(), answer=Anything(), size="batch", statuses=ERRORS, x=True, summary="Cancel or terminate jobs.",
    ),
    Route(
        method="GET", path="/x/jobs/{id}/log", operation_id="x_job_log", access="read", group=GROUP, of=Job, handler=log,
        query=LogQuery, answer=Anything(), statuses=(403, 404), x=True, summary="Read what an attempt wrote.",
    ),
)  # fmt: skip
