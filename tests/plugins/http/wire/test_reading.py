"""Bodies and parameters are read strictly, and refusals name the field and the value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import EXCLUDE, ValidationError

from torc_core.errors import Invalid
from torc_core.model import JobStatus
from torc_http.errors import Refused
from torc_http.reading import generation_of, ids_of, parsed, query_of
from torc_http.routes import Route, all_routes
from torc_http.wire.fields import Instant, shown_instant
from torc_http.wire.jobs import JobModel, SpawnRequest
from torc_http.wire.plans import reader, writer
from torc_http.wire.results import ResultModel

ROUTES = {route.operation_id: route for route in all_routes()}


def route(operation: str) -> Route:
    return ROUTES[operation]


@pytest.mark.parametrize(
    "text", [b"{", b"[1,]", b"NaN", b"1e400", b'"\\ud800"', b"[" * 65 + b"]" * 65, b"\xff", b""]
)
def test_what_is_not_json_is_a_400(text: bytes) -> None:
    with pytest.raises(Refused) as refused:
        parsed(text)

    assert refused.value.status == 400


def test_the_last_of_equal_keys_wins() -> None:
    assert parsed(b'{"a": 1, "a": 2}') == {"a": 2}


def test_brackets_in_strings_are_no_nesting() -> None:
    assert parsed(b'{"a": "' + b"[" * 200 + b'"}')


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"workflow_id": "1", "name": "a", "command": "b"}, "workflow_id"),
        ({"workflow_id": 1.0, "name": "a", "command": "b"}, "workflow_id"),
        ({"workflow_id": True, "name": "a", "command": "b"}, "workflow_id"),
        ({"workflow_id": 2**63, "name": "a", "command": "b"}, "workflow_id"),
        ({"workflow_id": 0, "name": "a", "command": "b"}, "workflow_id"),
        ({"workflow_id": 1, "command": "b"}, "name"),
        ({"workflow_id": 1, "name": None, "command": "b"}, "name"),
        ({"workflow_id": 1, "name": "a" * 256, "command": "b"}, "name"),
        ({"workflow_id": 1, "name": "a", "command": ""}, "command"),
        ({"workflow_id": 1, "name": "a", "command": "b\0"}, "command"),
        ({"workflow_id": 1, "name": "a", "command": "b", "priority": -1}, "priority"),
        ({"workflow_id": 1, "name": "a", "command": "b", "status": "done"}, "status"),
        ({"workflow_id": 1, "name": "a", "command": "b", "env": {"A": 1}}, "env"),
        ({"workflow_id": 1, "name": "a", "command": "b", "env": {"1A": "1"}}, "env"),
        ({"workflow_id": 1, "name": "a", "command": "b", "env": {"TORC_JOB_ID": "1"}}, "env"),
        ({"workflow_id": 1, "name": "a", "command": "b", "input_file_ids": [1, "2"]}, "input_file_ids"),
        ({"workflow_id": 1, "name": "a", "command": "b", "schedule_compute_nodes": {"num_jobs": 1}},
         "schedule_compute_nodes.scheduler_id"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        reader(JobModel)(body)

    assert refused.value.details["field"] == field
    assert str(refused.value).startswith(field)


def test_null_is_as_if_nothing_had_been_sent() -> None:
    read = reader(JobModel)({"workflow_id": 1, "name": "a", "command": "b", "priority": None, "env": None})

    assert read == {"workflow_id": 1, "name": "a", "command": "b"}


def test_unknown_keys_are_ignored_but_refused_where_bodies_are_strict() -> None:
    body = {"workflow_id": 1, "name": "a", "command": "b", "slurm_config": 1}

    assert "slurm_config" not in reader(JobModel)(body)
    with pytest.raises(Invalid, match="unknown key"):
        reader(SpawnRequest)({"jobs": [], "more": 1})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
LIKELY = {
    "job_id": st.integers(1, 9), "workflow_id": st.integers(1, 9), "run_id": st.integers(0, 3),
    "compute_node_id": st.integers(0, 9), "return_code": st.integers(0, 2), "exec_time_minutes": st.floats(0, 9),
    "completion_time": st.just("2026-05-01T14:03:22Z"), "status": st.sampled_from([one.label for one in JobStatus]),
}  # fmt: skip


@given(
    st.fixed_dictionaries({name: one | JSON for name, one in LIKELY.items()}, optional={"attempt_id": JSON})
)
def test_readers_take_exactly_what_marshmallow_takes(body: dict[str, Any]) -> None:
    try:
        expected = ResultModel(unknown=EXCLUDE).load({k: v for k, v in body.items() if v is not None})
    except (ValidationError, Invalid):
        expected = None
    try:
        found = reader(ResultModel)(body)
    except Invalid:
        found = None

    flat = None if expected is None else flattened(expected)
    assert found == flat


def flattened(value: dict[str, Any], before: str = "") -> dict[str, Any]:
    """What marshmallow nests by dotted attributes, as readers say it."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        found |= flattened(item, f"{before}{name}.") if isinstance(item, dict) else {f"{before}{name}": item}
    return found


@pytest.mark.parametrize("text", ["-1", "0", "9223372036854775808", "1" * 20, "\uff11", "a", " 1", "1.0", ""])
def test_an_id_in_a_path_is_a_positive_integer(text: str) -> None:
    with pytest.raises(Invalid, match="id"):
        ids_of(route("get_job"), {"id": text})


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("workflow_id=1&offset=-1", "offset"),
        ("workflow_id=1&limit=0", "limit"),
        ("workflow_id=1&limit=x", "limit"),
        ("workflow_id=1&reverse_sort=yes", "reverse_sort"),
        ("workflow_id=1&status=done", "status"),
        ("offset=1", "workflow_id"),
        ("workflow_id=%00", "workflow_id"),
    ],
)
def test_a_wrong_parameter_is_named(query: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        query_of(route("list_jobs"), query)

    assert refused.value.details["field"] == field


def test_parameters_have_their_types_and_defaults() -> None:
    found = query_of(
        route("list_jobs"), "workflow_id=7&reverse_sort=TRUE&include_relationships=1&name=a%20b&other=1"
    )

    assert found == {
        "offset": 0, "limit": 10_000, "workflow_id": 7, "reverse_sort": True, "include_relationships": True, "name": "a b",
    }  # fmt: skip


def test_trigger_types_may_be_repeated() -> None:
    found = query_of(route("get_pending_actions"), "trigger_type=a&trigger_type=b")

    assert found == {"trigger_type": ["a", "b"]}


@pytest.mark.parametrize(
    ("agent", "generation"),
    [
        ("OpenAPI-Generator/0.12.0/python", (0, 12, 0)),
        ("OpenAPI-Generator/0.21.0/python", (0, 21, 0)),
        ("OpenAPI-Generator/0.9.0/julia", (0, 9, 0)),
        ("curl/8", ()),
        ("", ()),
        ("OpenAPI-Generator/x/python", ()),
        (f"OpenAPI-Generator/{'9' * 5000}/python", ()),
    ],
)
def test_generations_are_told_by_the_user_agent(agent: str, generation: tuple[int, ...]) -> None:
    assert generation_of(agent) == generation


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-05-01T14:03:22.120Z", "2026-05-01T14:03:22.120Z"),
        ("2026-05-01T16:03:22.120+02:00", "2026-05-01T14:03:22.120Z"),
        ("2026-05-01 14:03:22.120999", "2026-05-01T14:03:22.120Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
    ],
)
def test_instants_are_utc_with_milliseconds(text: str, shown: str) -> None:
    assert shown_instant(Instant().take(text)) == shown


def test_writers_leave_out_what_is_none_and_not_required() -> None:
    from torc_core.model import Job, JobId, RequirementId, WorkflowId

    job = Job(id=JobId(1), workflow_id=WorkflowId(2), name="a", command="b", requirement_id=RequirementId(3))
    body = writer(JobModel, without=("depends_on_job_ids", "input_file_ids", "output_file_ids", "input_user_data_ids",
                                     "output_user_data_ids"))(job)  # fmt: skip

    assert body["status"] == "uninitialized"
    assert body["resource_requirements_id"] == 3
    assert "start_time" not in body
