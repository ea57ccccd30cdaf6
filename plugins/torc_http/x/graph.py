"""What waits for what, as pages draw it (`wire.md` §7.6, `observability.md` §6)."""

from __future__ import annotations

from typing import cast

from marshmallow import Schema

from torc_core.engine.graph import View, document, picture
from torc_core.model import Workflow, WorkflowId
from torc_core.store.dags import dag_of
from torc_http.call import Call
from torc_http.published.nouns import there
from torc_http.routes import Route
from torc_http.wire.fields import Anything, Choice

VIEWS = {"jobs": "jobs", "files": "files", "user_data": "user-data", "user-data": "user-data"}


class GraphQuery(Schema):
    """What is drawn, and whether jobs of one kind become one."""

    view = Choice(*VIEWS, load_default="jobs")
    collapse = Choice("auto", "none", load_default="auto")


def graph(call: Call) -> object:
    """Nodes and edges of a workflow, at most 2,000 nodes."""
    workflow = WorkflowId(call.id)
    there(call, workflow)
    dag, view = dag_of(call.store, workflow), cast("View", VIEWS[call.query["view"]])
    drawn = picture(dag, view, collapse=None if call.query["collapse"] == "auto" else False)
    return document(dag, view, drawn, "database")


ROUTES = (
    Route(
        method="GET", path="/x/workflows/{id}/graph", operation_id="x_graph", access="read", group="x", of=Workflow,
        handler=graph, query=GraphQuery, answer=Anything(), statuses=(403, 404), x=True,
        summary="What waits for what, for pictures.",
    ),
)  # fmt: skip
