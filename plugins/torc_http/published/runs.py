"""Passes over a workflow: initialised, reset, canceled, archived (`wire.md` §3.3)."""

from __future__ import annotations

from collections.abc import Mapping

from marshmallow import Schema

from torc_core.errors import Conflict
from torc_core.model import Initialize, Json, Operation, Progress, Reset, Workflow, WorkflowId
from torc_http.call import Answer, Call
from torc_http.published.nouns import there
from torc_http.published.progress import flags
from torc_http.published.workflows import shown
from torc_http.routes import Route
from torc_http.wire.fields import Flag, Object
from torc_http.wire.plans import writer
from torc_http.wire.workflows import Archive, Changed, FlagsAnswer, ResetAnswer, TaskModel, WorkflowModel

GROUP = "workflows"
NAME = "initialize_jobs"
"""What the wire calls the operation."""


How = type(
    "How",
    (Schema,),
    {
        "__doc__": "How to initialise.",
        "only_uninitialized": Flag(),
        "clear_ephemeral_user_data": Flag(),
        "async": Flag(),
    },
)


class Forced(Schema):
    """Whether jobs that are live are in the way."""

    force = Flag()


class FailedOnly(Schema):
    """Whether all jobs or only bad ones are set back."""

    failed_only = Flag()


class DryRun(Schema):
    """Whether anything changes."""

    dry_run = Flag()


def initialize(call: Call) -> object:
    """Start a new run, at once or as an operation that the caller asks after."""
    how = Initialize(
        only_uninitialized=call.query.get("only_uninitialized", False),
        clear_ephemeral=call.query.get("clear_ephemeral_user_data", True),
        unchecked=True,
    )
    workflow = WorkflowId(call.id)
    there(call, workflow)
    if call.query.get("async"):
        options = {
            "only_uninitialized": how.only_uninitialized, "clear_ephemeral": how.clear_ephemeral, "unchecked": True,
        }  # fmt: skip
        return begun(call, NAME, options)
    progress = call.store.initialize(workflow, how)
    return {"message": f"workflow {workflow} is in run {progress.run_id}", **counts(progress)}


def begun(call: Call, name: str, options: Mapping[str, Json]) -> Answer:
    """Begin an operation that the caller asks after; the same one again is the same task.

    Raises
    ------
    Conflict
        While a different one runs.
    """
    try:
        operation, new = call.store.begin(WorkflowId(call.id), name, options)
    except Conflict as error:
        raise _other(call, error) from error
    if new:
        _carry_out(call, operation)
    return Answer(status=202, body=writer(TaskModel)(operation))


def _other(call: Call, error: Conflict) -> Conflict:
    active = call.store.active_operation(WorkflowId(call.id))
    details = {"error": "Conflict", **error.details}
    if active is not None:
        details |= {"existing_task_id": active.id, "existing_operation": active.name}
    return Conflict(str(error), details=details)


def _carry_out(call: Call, operation: Operation) -> None:
    """Have an operation done beside the threads that answer requests; without such a place it is done here."""
    operations = (call.service.parts or {}).get("operations")
    if operations is None:
        call.service.store.carry_out(operation.id)
    else:
        operations.take(operation.id)


def counts(progress: Progress) -> dict[str, object]:
    """What a verb changed, as an answer."""
    return {"workflow_id": progress.workflow, "run_id": progress.run_id, **progress.moved}


def reset_status(call: Call) -> object:
    """Clear the cancel flag; the next initialisation raises the run."""
    return flags(call.store.reset_workflow(WorkflowId(call.id), force=call.query.get("force", False)))


def reset_jobs(call: Call) -> object:
    """Set jobs back to uninitialized; what is live gets a stop order first."""
    failed = call.query.get("failed_only", False)
    progress = call.store.reset(WorkflowId(call.id), Reset(failed_only=failed, force=True))
    return {
        "workflow_id": call.id,
        "updated_count": progress.moved.get("uninitialized", 0),
        "status": "uninitialized",
        "reset_type": "failed_only" if failed else "all",
    }


def changed_inputs(call: Call) -> object:
    """Set back the jobs whose inputs changed; their names."""
    found = call.store.changed_jobs(WorkflowId(call.id), dry_run=call.query.get("dry_run", False))
    return {"reinitialized_jobs": [one.name for one in found]}


def cancel(call: Call) -> object:
    """Cancel a workflow; a second time is no harm."""
    with call.together():
        call.store.cancel(WorkflowId(call.id))
        return flags(call.store.get(Workflow, call.id))


def archive(call: Call) -> object:
    """Archive a workflow, or take it back."""
    return shown(call, [call.store.archive(WorkflowId(call.id), call.body["is_archived"])])[0]


ROUTES = (
    Route(
        method="POST", path="/workflows/{id}/initialize_jobs", operation_id="initialize_jobs", access="operate",
        group=GROUP, handler=initialize, query=How, answer=Object(), statuses=(202, 403, 404, 409, 500),
        slow=True, summary="Start a new run: jobs become ready or blocked.",
    ),
    Route(
        method="POST", path="/workflows/{id}/reset_status", operation_id="reset_workflow_status", access="operate",
        group=GROUP, handler=reset_status, query=Forced, answer=FlagsAnswer(), summary="Clear the cancel flag.",
    ),
    Route(
        method="POST", path="/workflows/{id}/reset_job_status", operation_id="reset_job_status", access="operate",
        group=GROUP, handler=reset_jobs, query=FailedOnly, answer=ResetAnswer(),
        slow=True, summary="Set jobs back to uninitialized.",
    ),
    Route(
        method="POST", path="/workflows/{id}/process_changed_job_inputs", operation_id="process_changed_job_inputs",
        access="edit", group=GROUP, handler=changed_inputs, query=DryRun, answer=Changed(),
        slow=True, summary="Set back jobs whose inputs changed.",
    ),
    Route(
        method="PUT", path="/workflows/{id}/cancel", operation_id="cancel_workflow", access="operate", group=GROUP,
        handler=cancel, answer=FlagsAnswer(), summary="Cancel a workflow.",
    ),
    Route(
        method="POST", path="/workflows/{id}/archive", operation_id="archive_workflow", access="operate", group=GROUP,
        handler=archive, body=Archive(), answer=WorkflowModel(), since="0.21.0", summary="Archive a workflow.",
    ),
)  # fmt: skip
