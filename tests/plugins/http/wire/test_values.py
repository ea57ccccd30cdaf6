"""Values of the model over HTTP: the same text form as everywhere, and nothing becomes another value on the way."""

from __future__ import annotations

import json

import pytest

from torc_core.model import (
    Assignment,
    Job,
    JobId,
    JobStatus,
    Orders,
    RequirementId,
    Shape,
    UserData,
    WorkflowId,
)
from torc_core.store import codec
from torc_http.wire import values
from torc_http.x.holding import _given

JOB = Job(
    id=JobId(7),
    workflow_id=WorkflowId(1),
    name="j",
    command="c",
    requirement_id=RequirementId(1),
    status=JobStatus.RUNNING,
)
GIVEN = Assignment(
    job=JOB, shape=Shape(cpus=2), started=False, ahead=True, node_index=3, stated=True, api_access="read", generation=4,
)  # fmt: skip


@pytest.mark.parametrize(
    "data", ["caf\udce9", 2**80, {"a": None}, [1.5, "ü", True], None, {"@": 1}], ids=repr
)
def test_what_is_written_here_is_read_everywhere(data: object) -> None:
    record = UserData(workflow_id=WorkflowId(1), name="n", data=data, has_data=True)

    assert codec.loads(values.dumps(record)) == record


def test_a_turns_answer_arrives_as_it_was() -> None:
    orders = Orders(jobs=[GIVEN], reason="caf\udce9", remaining=3)

    assert values.loads(values.dumps(orders)) == orders
    assert values.loads(codec.dumps(orders)) == orders


@pytest.mark.parametrize("data", [float("nan"), float("inf")], ids=repr)
def test_what_is_no_number_does_not_become_null(data: float) -> None:
    text = values.dumps({"data": data})

    assert b"null" not in text
    assert json.loads(text)["data"] != 0


def test_a_capability_is_added_to_all_that_an_assignment_has() -> None:
    given = _given(GIVEN, "token")

    assert given == Assignment(
        job=JOB, shape=GIVEN.shape, started=False, ahead=True, node_index=3, stated=True, api_access="read",
        generation=4, capability="token",
    )  # fmt: skip
    assert all(
        getattr(given, name) != getattr(Assignment(job=JOB, shape=Shape()), name)
        for name in codec.FIELDS[Assignment]
        if name not in ("job", "outputs")
    )  # what was left at its default would prove nothing


@pytest.mark.parametrize(
    "number", [2**63, -(2**63) - 1, 2**64, 10**40, -(10**18), 1.5e300, 10**17 + 0.5], ids=repr
)
def test_a_number_of_a_request_is_what_was_sent(number: float) -> None:
    text = json.dumps({"data": [number]}).encode()

    assert values.heard(text) == {"data": [number]}
    assert type(values.heard(text)["data"][0]) is type(number)
    assert json.loads(values.told({"data": [number]})) == {"data": [number]}


@pytest.mark.parametrize(
    "text", [b'{"a": 10000000000000000000, "b": NaN}', b'{"a": "10000000000000000000\\ud800"}']
)
def test_a_long_number_makes_nothing_else_right(text: bytes) -> None:
    with pytest.raises(ValueError, match="line 1"):
        values.heard(text)
