"""Every route with every credential on one's own, foreign and missing objects, against the table in `routes.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema

from torc_core.model import (
    AccessGroup,
    Action,
    Allocation,
    Event,
    FailureHandler,
    File,
    Job,
    LocalScheduler,
    Node,
    Operation,
    Query,
    RemoteWorker,
    Requirement,
    Result,
    ResultId,
    RoCrateEntity,
    SlurmScheduler,
    Token,
    UserData,
    Workflow,
)
from torc_http.routes import Route, all_routes, whole
from torc_http.wire.fields import Part, Parts

from .conftest import Api, Credential, basic

TABLE = tomllib.loads(Path(__file__).with_name("routes.toml").read_text())
CLASS_OF = {name: level for level, names in TABLE["class"].items() for name in names}
PRINCIPALS: Mapping[str, Any] = TABLE["principals"]
ALLOWED: Mapping[str, list[int]] = TABLE["allowed"]

BASE = "/torc-service/v1"
OF_A_WORKFLOW = ("read", "edit", "run", "operate", "own")
ROUTES = [route for route in all_routes() if not route.path.startswith("/x/store/")]
BELOW = [route for route in ROUTES if not route.outside]
"""What lies beside the base path no capability in a path can reach; `x/test_metrics.py` looks at that."""

MISSING = 10**6


class Undone(Exception):
    """what was done is not to stay"""


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert {route.operation_id for route in ROUTES} == {*CLASS_OF}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation_id)
def test_a_route_declares_the_class_that_the_table_gives_it(route: Route) -> None:
    assert route.access == CLASS_OF[route.operation_id]


def test_every_credential_is_tried(world: Any) -> None:
    assert {*world[1]} == {*PRINCIPALS}


@pytest.fixture(scope="module")
def records(world: Any) -> Mapping[str, Mapping[type[Any], int]]:
    """A record of each kind in each of the two workflows, and ids of none."""
    rooms, store = world[0], world[0].store
    found: dict[str, dict[type[Any], int]] = {"missing": {}}
    for name, workflow in (("own", rooms.ours), ("foreign", rooms.theirs)):
        jobs = store.find(Job, Query(workflow=workflow)).items
        made = store.add([
            File(workflow_id=workflow, name="f", path="f"),
            UserData(workflow_id=workflow, name="u"),
            Requirement(workflow_id=workflow, name="r"),
            SlurmScheduler(workflow_id=workflow, name="s", fields={"account": "a", "nodes": 1, "walltime": "01:00:00"}),
            FailureHandler(workflow_id=workflow, name="h", rules=[{"exit_codes": [1]}]),
            LocalScheduler(workflow_id=workflow, name="l"),
            Event(workflow_id=workflow, category="note", data={}),
            Action(workflow_id=workflow, trigger_type="on_workflow_start", action_type="run_commands", config={"commands": ["true"]}),
        ])  # fmt: skip
        entity = store.add(
            [
                RoCrateEntity(
                    workflow_id=workflow, entity_id="e", entity_type="File", metadata={}, file_id=None
                )
            ]
        )
        result = store.add(
            [
                Result(
                    id=ResultId(0),
                    node_id=None,
                    reason=None,
                    workflow_id=workflow,
                    job_id=jobs[2].id,
                    job_name="job2",
                    run_id=1,
                    attempt_id=9,
                    status=jobs[2].status.COMPLETED,
                    return_code=0,
                    exec_minutes=0.0,
                    completed_at=0,
                )
            ]
        )
        found[name] = {
            Workflow: workflow,
            Job: jobs[1].id,
            Node: store.find(Node, Query(workflow=workflow)).items[0].id,
            **{type(one): one.id for one in (*made, *entity, *result)},
        }
        scheduler = found[name][SlurmScheduler]
        found[name][Allocation] = store.intend(workflow, f"request{workflow}", scheduler, 1, 1)[0].id
        found[name][Operation] = store.begin(workflow, "initialize_jobs", {})[0].id
    return found


def sample(field: Any, name: str, ids: Mapping[type[Any], int], workflow: int) -> Any:
    """A value that a field of a body takes."""
    if name == "workflow_id":
        return workflow
    if name in ("job_id", "job_ids"):
        job = ids.get(Job, MISSING)
        return job if name == "job_id" else [job]
    if isinstance(field, Parts):
        return [filled(field.part(), ids, workflow)]
    if isinstance(field, Part):
        return filled(field.part(), ids, workflow)
    described = field.described()
    kind = described.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if "enum" in described:
        return described["enum"][0]
    text = {
        "walltime": "01:00:00",
        "rules": '[{"exit_codes": [1]}]',
        "user": "ann",
        "completion_time": "2026-01-01T00:00:00Z",
        "start_time": "2026-01-01T00:00:00Z",
    }
    return {
        "string": text.get(name, "x"), "integer": max(1, described.get("minimum", 1)), "number": 1, "boolean": True,
        "array": [], "object": {},
    }.get(kind, {})  # fmt: skip


def filled(schema: Schema, ids: Mapping[type[Any], int], workflow: int) -> dict[str, Any]:
    wanted = {name: field for name, field in schema.fields.items() if field.required or name == "workflow_id"}
    return {name: sample(field, name, ids, workflow) for name, field in wanted.items()}


def body_of(route: Route, ids: Mapping[type[Any], int], workflow: int) -> Any:
    if route.body is None:
        return None
    if isinstance(route.body, Schema):
        return filled(route.body, ids, workflow)
    return sample(route.body, "", ids, workflow)


def path_of(route: Route, ids: Mapping[type[Any], int], workflow: int) -> str:
    path = route.path
    kinds = {"job_id": Job, "compute_node_id": Node, "action_id": Action, "group_id": AccessGroup}
    for name in route.parameters:
        if name == "id":
            value: Any = ids.get(route.of, MISSING) if route.of else 1
        elif name == "workflow_id":
            value = workflow
        elif name in kinds:
            value = ids.get(kinds[name], MISSING)
        else:
            value = 1 if whole(name) else {"user_name": "bob", "status": "completed"}.get(name, "x")
        path = path.replace(f"{{{name}}}", str(value))
    return path if route.outside else BASE + path


def query_of(route: Route, workflow: int) -> str:
    fields = route.query().fields if route.query else {}
    wanted = {name: workflow if name == "workflow_id" else 1 for name, one in fields.items() if one.required}
    return "&".join(f"{name}={value}" for name, value in wanted.items())


def names_a_workflow(route: Route) -> bool:
    body = route.body.fields if isinstance(route.body, Schema) else {}
    parts = [field.part().fields for field in body.values() if isinstance(field, Parts)]
    in_body = any(fields.keys() & {"workflow_id", "job_ids"} for fields in (body, *parts))
    in_query = route.query is not None and "workflow_id" in route.query().fields
    return bool(
        (route.of and "id" in route.parameters) or "workflow_id" in route.parameters or in_body or in_query
    )


def expected(route: Route, rights: Any, which: str) -> Sequence[int] | None:
    """The statuses that this cell may have; None: anything but a refusal."""
    level = CLASS_OF[route.operation_id]
    if level == "public":
        return None
    if rights == "nobody":
        return [401]
    if level in ("user", "admin"):
        return None if level in rights else [403]
    if not names_a_workflow(route):
        return None
    if "admin" in rights:
        return [404, 422, 503] if which == "missing" else None
    if which == "missing":
        return [404]
    if which == "foreign":
        return [404]
    return None if level in rights else [403 if "read" in rights else 404]


def foreigners(name: str) -> Iterator[str]:
    """What is whose, seen by a credential: eve's own is ours to nobody else."""
    yield "own"
    yield "missing"
    if not ("foreign" in name or name == "another user"):
        yield "foreign"


@pytest.mark.parametrize("route", BELOW, ids=lambda route: route.operation_id)
def test_each_credential_may_do_what_the_table_says(
    route: Route, world: Any, records: Mapping[str, Mapping[type[Any], int]]
) -> None:
    rooms, credentials = world
    wrong = []
    for name, rights in PRINCIPALS.items():
        for which in foreigners(name):
            workflow = records[which].get(Workflow, MISSING)
            ids = records[which]
            try:
                with rooms.store.together():
                    reply = rooms.ask(
                        route.method,
                        path_of(route, ids, workflow),
                        credentials[name],
                        body_of(route, ids, workflow),
                        query_of(route, workflow),
                    )
                    raise Undone
            except Undone:
                pass
            allowed = expected(route, rights, which)
            tolerated = ALLOWED.get(route.operation_id, [])
            fine = (
                reply.status in allowed
                if allowed
                else reply.status not in {401, 403, 404} or reply.status in tolerated
            )
            if not fine:
                wrong.append(
                    f"{name} on {which}: {reply.status}, not {allowed or 'allowed'}: {reply.raw[:160]!r}"
                )

    assert wrong == []


@pytest.mark.parametrize(
    "route",
    [one for one in ROUTES if CLASS_OF[one.operation_id] in OF_A_WORKFLOW and names_a_workflow(one)],
    ids=lambda route: route.operation_id,
)
def test_what_is_foreign_looks_as_if_it_were_not_there(
    route: Route, world: Any, records: Mapping[str, Mapping[type[Any], int]]
) -> None:
    rooms, credentials = world
    told = []
    for which in ("foreign", "missing"):
        ids, workflow = records[which], records[which].get(Workflow, MISSING)
        reply = rooms.ask(
            route.method, path_of(route, ids, workflow), credentials["a member"], body_of(route, ids, workflow),
            query_of(route, workflow),
        )  # fmt: skip
        numbers = sorted({str(one) for one in (*ids.values(), workflow, MISSING)}, key=len, reverse=True)
        text = reply.message
        for number in numbers:
            text = text.replace(f" {number}", " ID")
        told.append((reply.status, text))

    assert told[0] == told[1]


def test_kinds_of_records_are_complete(records: Mapping[str, Mapping[type[Any], int]]) -> None:
    wanted = {route.of for route in ROUTES if route.of} - {Token, RemoteWorker}

    assert wanted <= {*records["own"]} | {None}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/x/plans", {"plan_version": 1, "create_id": "c", "workflow": {"name": "w"}, "jobs": [{"workflow_id": [1]}]}),
        ("/x/store/join", {"args": [{"@": "NewNode", "workflow_id": {"a": 1}}]}),
    ],
)  # fmt: skip
def test_what_is_named_in_a_body_and_is_no_id_is_refused(rooms: Api, path: str, body: Any) -> None:
    reply = rooms.ask("POST", BASE + path, Credential(headers=basic("ann")), body)

    assert reply.status == 422, reply.raw
