"""What the accounting of Slurm says of attempts (`wire.md` §3.14)."""

from __future__ import annotations

from marshmallow import Schema

from torc_core.errors import Invalid
from torc_core.model import Job, SlurmStats
from torc_http.call import Call
from torc_http.published.nouns import ERRORS, there
from torc_http.routes import Route
from torc_http.wire.fields import Id, Int
from torc_http.wire.lists import Paging, asked, listing, page_of
from torc_http.wire.nodes import SlurmStatsModel
from torc_http.wire.plans import writer


class Asked(Paging):
    """Which records."""

    workflow_id = Id(required=True)
    job_id = Id()
    run_id = Int(minimum=0)
    attempt_id = Int(minimum=1)


def create(call: Call) -> object:
    """Record what Slurm says of an attempt; a second record of it replaces the first."""
    body = call.body
    job = call.store.get(Job, body["job_id"])
    if job.workflow_id != body["workflow_id"]:
        raise Invalid(
            f"job {job.id} is of workflow {job.workflow_id}, not {body['workflow_id']}",
            details={"field": "workflow_id", "value": body["workflow_id"]},
        )
    fields = {name: value for name, value in body.items() if name != "id"}
    fields["run_id"] = fields["run_id"] or job.run_id
    return writer(SlurmStatsModel)(call.store.add([SlurmStats(**fields)])[0])


def list_(call: Call) -> object:
    """A page of the records of a workflow."""
    query = call.query
    there(call, query["workflow_id"])
    where = {name: query.get(name) for name in ("job_id", "run_id", "attempt_id")}
    found = call.store.find(
        SlurmStats, asked(SlurmStats, SlurmStatsModel, query, query["workflow_id"], where)
    )
    return page_of(found, [writer(SlurmStatsModel)(one) for one in found.items], query)


ANSWER: type[Schema] = listing(SlurmStatsModel, "ListSlurmStatsResponse")

ROUTES = (
    Route(
        method="POST", path="/slurm_stats", operation_id="create_slurm_stats", access="run", group="slurm_stats",
        handler=create, body=SlurmStatsModel(), answer=SlurmStatsModel(), statuses=ERRORS,
        summary="Record what Slurm says of an attempt.",
    ),
    Route(
        method="GET", path="/slurm_stats", operation_id="list_slurm_stats", access="read", group="slurm_stats",
        handler=list_, query=Asked, answer=ANSWER(), statuses=ERRORS, summary="List what Slurm says of attempts.",
    ),
)  # fmt: skip
