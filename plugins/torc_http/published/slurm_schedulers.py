"""Slurm schedulers (`wire.md` §3.13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torc_core.model import SlurmScheduler
from torc_http.call import Call
from torc_http.published.nouns import ERRORS, Noun, same_place
from torc_http.routes import Route
from torc_http.wire.fields import Plain
from torc_http.wire.records import SlurmSchedulerModel

FIELDS = (
    "account", "nodes", "walltime", "partition", "qos", "gres", "mem", "tmp", "ntasks_per_node", "extra",
    "serialize_allocations", "auto_top_up", "keep_queued",
)  # fmt: skip
DEFAULTS: Mapping[str, Any] = {
    **dict.fromkeys(FIELDS), "nodes": 1, "walltime": "01:00:00", "serialize_allocations": False, "auto_top_up": True,
    "keep_queued": False,
}  # fmt: skip
REQUIRED = {"account": "", "nodes": 1, "walltime": "01:00:00"}


def shown(call: Call, records: Sequence[SlurmScheduler]) -> Sequence[Plain]:
    """Schedulers as bodies."""
    return [_body(one) for one in records]


def _body(one: SlurmScheduler) -> Plain:
    fields = {name: one.fields.get(name) for name in FIELDS}
    given = {name: value for name, value in fields.items() if value is not None}
    name = {"name": one.name} if one.name else {}
    return {"id": one.id, "workflow_id": one.workflow_id, **name, **REQUIRED, **given}


NOUN = Noun(
    kind=SlurmScheduler,
    schema=SlurmSchedulerModel,
    path="/slurm_schedulers",
    group="slurm_schedulers",
    show=shown,
)


def create(call: Call) -> object:
    """Add a scheduler."""
    body = call.body
    fields = {**DEFAULTS, **_fields(body)}
    scheduler = SlurmScheduler(workflow_id=body["workflow_id"], name=body.get("name", ""), fields=fields)
    return NOUN.one(call, call.store.add([scheduler])[0])


def update(call: Call) -> object:
    """Change a scheduler, for allocations that are submitted later; null keeps."""
    with call.together():
        stored = call.store.get(SlurmScheduler, call.id)
        same_place(call, stored, call.body, "id", "workflow_id")
        fields: dict[str, Any] = {"fields": {**stored.fields, **_fields(call.body)}}
        if "name" in call.body:
            fields["name"] = call.body["name"]
        return NOUN.one(call, call.store.change(SlurmScheduler, call.id, fields))


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in FIELDS if name in body}


ROUTES = (
    Route(
        method="POST", path="/slurm_schedulers", operation_id="create_slurm_scheduler", access="edit",
        group="slurm_schedulers", handler=create, body=SlurmSchedulerModel(), answer=SlurmSchedulerModel(),
        statuses=ERRORS, summary="Add a Slurm scheduler.",
    ),
    Route(
        method="PUT", path="/slurm_schedulers/{id}", operation_id="update_slurm_scheduler", access="edit",
        group="slurm_schedulers", of=SlurmScheduler, handler=update, body=SlurmSchedulerModel(),
        answer=SlurmSchedulerModel(), statuses=ERRORS, summary="Change a Slurm scheduler; null keeps.",
    ),
    *NOUN.routes(
        get="get_slurm_scheduler", remove="delete_slurm_scheduler", list="list_slurm_schedulers",
        remove_all="delete_slurm_schedulers",
    ),
)  # fmt: skip
