"""Why jobs do not run (`wire.md` §7.6, `observability.md` §2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torc_core.model import Job, JobId, Workflow, WorkflowId
from torc_core.store import explaining
from torc_http.call import Call
from torc_http.routes import Route
from torc_http.wire.fields import Anything

if TYPE_CHECKING:
    from torc_core.protocols import Outlook

GROUP = "x"


def job(call: Call) -> object:
    """Why a job does not run."""
    found, told = explaining.explained_job(call.store, JobId(call.id), call.clock.now(), _batches(call))
    return explaining.job_json(found, told)


def workflow(call: Call) -> object:
    """Why what is left of a workflow does not run, by reason."""
    totals, groups = explaining.explained_workflow(
        call.store, WorkflowId(call.id), call.clock.now(), _batches(call)
    )
    return explaining.workflow_json(totals, groups)


def _batches(call: Call) -> Sequence[Outlook]:
    """The queues that the server itself looks into, as it saw them last."""
    tender = (call.service.parts or {}).get("tender")
    return () if tender is None else tender.queues()


ROUTES = (
    Route(
        method="GET", path="/x/jobs/{id}/explain", operation_id="x_explain_job", access="read", group=GROUP, of=Job,
        handler=job, answer=Anything(), statuses=(403, 404), x=True, summary="Why a job does not run.",
    ),
    Route(
        method="GET", path="/x/workflows/{id}/explain", operation_id="x_explain_workflow", access="read", group=GROUP,
        of=Workflow, handler=workflow, answer=Anything(), statuses=(403, 404), x=True,
        summary="Why what is left of a workflow does not run.",
    ),
)  # fmt: skip
