"""Local schedulers, kept for clients (`wire.md` §3.15)."""

from __future__ import annotations

from torc_core.model import LocalScheduler
from torc_http.call import Call
from torc_http.published.nouns import ERRORS, Noun, same_place
from torc_http.routes import Route
from torc_http.wire.fields import Int, Text
from torc_http.wire.records import LocalSchedulerModel

NOUN = Noun(
    kind=LocalScheduler, schema=LocalSchedulerModel, path="/local_schedulers", group="local_schedulers",
    filters={"memory": (Text(), "memory"), "num_cpus": (Int(), "num_cpus")},
)  # fmt: skip


def create(call: Call) -> object:
    """Add a scheduler."""
    fields = {name: value for name, value in call.body.items() if name != "id"}
    return NOUN.one(call, call.store.add([LocalScheduler(**fields)])[0])


def update(call: Call) -> object:
    """Change a scheduler; null keeps."""
    with call.together():
        stored = call.store.get(LocalScheduler, call.id)
        same_place(call, stored, call.body, "id", "workflow_id")
        fields = {name: value for name, value in call.body.items() if name not in {"id", "workflow_id"}}
        return NOUN.one(call, call.store.change(LocalScheduler, call.id, fields))


ROUTES = (
    Route(
        method="POST", path="/local_schedulers", operation_id="create_local_scheduler", access="edit",
        group="local_schedulers", handler=create, body=LocalSchedulerModel(), answer=LocalSchedulerModel(),
        statuses=ERRORS, summary="Add a local scheduler.",
    ),
    Route(
        method="PUT", path="/local_schedulers/{id}", operation_id="update_local_scheduler", access="edit",
        group="local_schedulers", of=LocalScheduler, handler=update, body=LocalSchedulerModel(),
        answer=LocalSchedulerModel(), statuses=ERRORS, summary="Change a local scheduler; null keeps.",
    ),
    *NOUN.routes(
        get="get_local_scheduler", remove="delete_local_scheduler", list="list_local_schedulers",
        remove_all="delete_local_schedulers",
    ),
)  # fmt: skip
