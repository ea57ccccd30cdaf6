"""Records travel as JSON and arrive equal; nothing else can be made of a message."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torc_core import model
from torc_core.model import (
    Job,
    JobStatus,
    Page,
    Plan,
    PlannedJob,
    PlannedWorkflow,
    Source,
    Totals,
    UserData,
    Workflow,
)
from torc_core.store.codec import ENUMS, RECORDS, dumps, loads
from torc_core.testing.plans import diamond

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from("@ = () {} #".split()), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_that_users_store_arrives_as_it_was(data: Any) -> None:
    record = UserData(workflow_id=model.WorkflowId(1), name="n", data=data, has_data=True)

    assert loads(dumps(record)) == record


def test_every_record_and_every_enum_of_the_model_may_travel() -> None:
    public = {name: getattr(model, name) for name in model.__all__}
    records = {name for name, kind in public.items() if isinstance(kind, type) and is_dataclass(kind)}
    enums = {name for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, Enum)}

    assert records == set(RECORDS)
    assert enums == set(ENUMS)
    assert {"Job", "Turn", "Orders", "Page", "Plan"} <= records


def test_tuples_lists_and_keys_keep_their_types() -> None:
    value = {"tuple": (1, [2, (3,)]), "keys": {JobStatus.READY: 1, 99: "b"}, "empty": ((), [], {})}

    found = loads(dumps(value))

    assert found == value
    assert type(found["tuple"]) is tuple
    assert type(found["tuple"][1]) is list
    assert [type(key) for key in found["keys"]] == [JobStatus, int]


def test_a_plan_arrives_as_it_was() -> None:
    plan = diamond()

    assert loads(dumps(plan)) == plan


def test_flags_and_combined_flags_arrive() -> None:
    assert loads(dumps([Source.FILE, Source.FILE | Source.SPAWN])) == [
        Source.FILE,
        Source.FILE | Source.SPAWN,
    ]


def test_totals_arrive_with_statuses_as_keys() -> None:
    workflow = Workflow(id=model.WorkflowId(1), name="w", user="u")
    totals = Totals(workflow=workflow, counts=MappingProxyType({JobStatus.COMPLETED: 3}))

    assert loads(dumps(totals)) == totals
    assert loads(dumps(Page(items=(totals,), total=1))).items == (totals,)


def test_bytes_that_are_no_text_survive_in_names() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")

    assert loads(dumps(name)) == name


def test_a_class_travels_by_its_name() -> None:
    assert loads(dumps(Job)) is Job


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), date(2026, 1, 1), date, int])
def test_what_is_not_of_the_model_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="does not belong to the model"):
        dumps(value)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"\xff", b'{"@":"Popen"}', b'{"@":["Job"]}', b'{"@":"Job","nonsense":1}', b'{"=":"JobStatus","value":99}',
        b'{"=":"Job","value":1}', b'{"#":"os"}', b'{"{}":[[1]]}', b'{"{}":3}', b'{"()":3}', b'{"{}":[[{"a":1},2]]}',
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_malformed_message_is_a_value_error_and_nothing_else(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)


def test_fields_are_sent_by_name_unless_they_have_their_defaults() -> None:
    plan = Plan(workflow=PlannedWorkflow(name="w"), jobs=[PlannedJob(name="j", command="true", priority=3)])

    text = dumps(plan)

    assert b'{"@":"PlannedJob","name":"j","command":"true","priority":3}' in text
    assert isinstance(loads(text).workflow, PlannedWorkflow)
    assert not isinstance(loads(text), Mapping)


def test_what_equals_a_default_and_is_of_another_type_keeps_its_type() -> None:
    given = Job(
        id=model.JobId(1),
        workflow_id=model.WorkflowId(1),
        name="j",
        command="c",
        requirement_id=1,
        priority=False,
    )  # type: ignore[arg-type]  # as a client may send it

    assert loads(dumps(given)).priority is False


@pytest.mark.parametrize(
    "kind", sorted(RECORDS.values(), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__
)
def test_no_default_of_a_record_is_something_that_changes(kind: type[Any]) -> None:
    for field in fields(kind):
        assert isinstance(field.default, Hashable)
