"""A whole workflow in one call (`wire.md` §7.2)."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.plugins.http.x.conftest import Api
from torc_core.model import Job, JobDependency, Query, Workflow
from torc_core.testing.plans import fan
from torc_http.wire import values
from torc_sql import creation

JOBS = int(os.environ.get("TORC_PLAN_JOBS", "2000"))
"""The full count is 100,000, with as many files."""


def body(**more: Any) -> dict[str, Any]:
    return {"plan_version": 1, "create_id": "one", "workflow": {"name": "w"}, **more}


DIAMOND = body(
    files=[{"name": "f", "path": "/d/f"}],
    jobs=[
        {"name": "a", "command": "echo {x} {{y}}", "output_files": ["f"]},
        {"name": "b", "command": "cat ${files.input.f}"},
        {"name": "c", "command": "true", "dependency_sets": ["both"]},
    ],
    dependency_sets=[{"name": "both", "jobs": ["a", "b"]}],
    initialize=True,
)


def test_names_become_relations_and_texts_stay_as_they_are(api: Api) -> None:
    told = api("POST", "/x/plans?ids=true", DIAMOND)

    pairs = api.store.find(JobDependency, Query(workflow=told["workflow_id"])).items
    jobs = api.store.find(Job, Query(workflow=told["workflow_id"])).items
    assert (told["counts"]["jobs"], told["ready"], told["blocked"]) == (3, 1, 2)
    assert {(one.job_name, one.depends_on_job_name) for one in pairs} == {("b", "a"), ("c", "a"), ("c", "b")}
    assert [one.command for one in jobs] == ["echo {x} {{y}}", "cat /d/f", "true"]
    assert told["ids"]["jobs"] == {one.name: one.id for one in jobs}


def test_ids_are_told_without_reading_all_that_was_made(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others could not write meanwhile (`promises.md` Q6)."""
    read: list[int] = []
    find = api.store.find

    def counted(kind: type[Any], query: Query) -> Any:
        page = find(kind, query)
        read.append(len(page.items))
        return page

    monkeypatch.setattr(api.store, "find", counted)

    told = api("POST", "/x/plans?ids=true", body(jobs=MANY))

    assert {*read} == {1}
    assert len(told["ids"]["jobs"]) == 100


def test_the_same_create_id_is_the_same_workflow(api: Api) -> None:
    one, other = (api("POST", "/x/plans", DIAMOND) for _ in range(2))
    clash = api.ask("POST", "/x/plans", {**DIAMOND, "workflow": {"name": "other"}})

    assert (one == other, clash.status) == (True, 422)
    assert api.store.find(Workflow, Query()).total == 1


def test_a_dry_run_creates_nothing(api: Api) -> None:
    told = api("POST", "/x/plans", {**DIAMOND, "dry_run": True})

    assert (told["workflow_id"], told["ready"], told["blocked"]) == (None, 1, 2)
    assert api.store.find(Workflow, Query()).total == 0


def test_every_error_is_told_with_its_pointer(api: Api) -> None:
    wrong = body(
        workflow={"name": "w", "retries": 3},
        jobs=[
            {"name": "a", "command": "true"}, {"name": "a", "command": "true"},
            {"name": "b", "command": "true", "depends_on": ["a", "zz"]},
            {"name": "c", "comand": "true", "command": "true", "dependency_sets": ["none"]},
            {"name": "d", "command": "true", "input_files": ["g/h"]},
        ],
    )  # fmt: skip

    said = api.ask("POST", "/x/plans", wrong)

    errors = {one["pointer"]: one for one in said.body["error"]["errors"]}
    assert said.status == 422
    assert {*errors} == {
        "/workflow/retries", "/jobs/1/name", "/jobs/2/depends_on/1", "/jobs/3/comand", "/jobs/3/dependency_sets/0",
        "/jobs/4/input_files/0",
    }  # fmt: skip
    assert errors["/jobs/2/depends_on/1"]["value"] == "zz"
    assert api.store.find(Workflow, Query()).total == 0


def test_jobs_that_wait_for_each_other_are_refused(api: Api) -> None:
    jobs = [
        {"name": "a", "command": "x", "depends_on": ["b"]},
        {"name": "b", "command": "x", "depends_on": ["a"]},
    ]

    said = api.ask("POST", "/x/plans", body(jobs=jobs))

    assert (said.status, "wait for each other" in said.body["error"]["message"]) == (422, True)


def test_what_is_no_plan_is_refused_in_a_sentence(api: Api) -> None:
    for wrong in (
        {}, body(plan_version=2), body(job=[]), body(jobs=3), body(jobs=[3]), body(workflow={"name": "w", "jobs": []}),
        body(workflow={}), body(workflow={"name": "w", "submission_directory": 3}), body(files=[{"name": 3}]),
        body(jobs=[{"name": "a", "command": "x", "parameters": {"i": [1]}}]), body(create_id="a b"),
        body(dependency_sets=[{"name": "s", "jobs": ["nobody"]}], jobs=[{"name": "a", "command": "x", "dependency_sets": ["s"]}]),
    ):  # fmt: skip
        said = api.ask("POST", "/x/plans", wrong)
        assert (said.status, bool(said.body["error"]["message"])) == (422, True), wrong


def test_many_jobs_with_as_many_files_come_compressed_in_one_call(api: Api) -> None:
    jobs = [{"name": f"j{k}", "command": f"echo {k}", "input_files": [f"f{k}"]} for k in range(JOBS)]
    files = [{"name": f"f{k}", "path": f"/d/f{k}"} for k in range(JOBS)]
    raw = gzip.compress(json.dumps(body(jobs=jobs, files=files, initialize=True)).encode(), 1)

    began = time.process_time()
    told = api("POST", "/x/plans", raw=raw, headers={"Content-Encoding": "gzip"})

    assert (told["ready"], told["counts"]["files"]) == (JOBS, JOBS)
    assert time.process_time() - began < 20


MANY = [{"name": f"j{at}", "command": "true"} for at in range(100)]


def in_a_plan(api: Api) -> tuple[str, Any]:
    return "/x/plans", body(jobs=MANY, initialize=True)


def in_a_document(api: Api) -> tuple[str, Any]:
    made = api("POST", "/x/plans", body(create_id="source", jobs=MANY))["workflow_id"]
    return "/x/imports", {"document": api("GET", f"/x/workflows/{made}/export"), "name": "other"}


def in_a_verb(api: Api) -> tuple[str, Any]:
    return "/x/store/create", json.loads(values.dumps({"args": [fan(100), "ann"], "named": {}}))


@pytest.mark.parametrize("asked", [in_a_plan, in_a_document, in_a_verb])
def test_a_large_workflow_is_created_once_and_in_chunks_between_which_others_write(
    api: Api, monkeypatch: pytest.MonkeyPatch, asked: Callable[[Api], tuple[str, Any]]
) -> None:
    """`promises.md` Q6."""
    path, sent = asked(api)
    before = api.store.find(Workflow, Query()).total
    monkeypatch.setattr(creation, "CHUNK", 10)
    monkeypatch.setattr(creation, "AT_ONCE", 10)
    transactions = spied(api.store, monkeypatch)

    first, again = (api("POST", path, sent, headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert first == again
    assert api.store.find(Workflow, Query()).total == before + 1
    assert len(transactions) > 10


def spied(store: Any, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The write transactions of a store, from now on."""
    begun: list[object] = []
    write = store._database.write

    def counted() -> Any:
        begun.append(None)
        return write()

    monkeypatch.setattr(store._database, "write", counted)
    return begun
