"""Lists: pages, order, and every filter alone and in pairs (`wire.md` T10)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from torc_core.testing.plugin import SetClock

START = "2026-05-01T14:03:22.120Z"


@pytest.fixture
def full(each, clock: SetClock) -> Any:
    """A workflow with two records of every sort that can be listed; the second differs in all that is filtered by."""
    api = each
    id = api.workflow(description="all of it")
    api.workflow(name="other", user="bob")
    files = [
        api("POST", "/files", {"workflow_id": id, "name": name, "path": f"/{name}"})["id"]
        for name in ("in", "out")
    ]
    needs = [
        api("POST", "/resource_requirements", {"workflow_id": id, "name": "small"})["id"],
        api("POST", "/resource_requirements", {"workflow_id": id, "name": "large", "num_cpus": 8, "num_gpus": 2,
                                               "num_nodes": 3, "memory": "8g", "runtime": "PT2H"})["id"],
    ]  # fmt: skip
    jobs = [
        api("POST", "/jobs", {"workflow_id": id, "name": "first_%", "command": "do it", "output_file_ids": [files[1]],
                              "resource_requirements_id": needs[0]})["id"],
    ]  # fmt: skip
    jobs.append(
        api("POST", "/jobs", {"workflow_id": id, "name": "second", "command": "do that", "input_file_ids": [files[0]],
                              "depends_on_job_ids": [jobs[0]], "resource_requirements_id": needs[1]})["id"],
    )  # fmt: skip
    data = [
        api("POST", "/user_data", {"workflow_id": id, "name": "one_%", "data": 1, "is_ephemeral": True},
            params={"consumer_job_id": jobs[0]})["id"],
        api("POST", "/user_data", {"workflow_id": id, "name": "two", "data": 2}, params={"producer_job_id": jobs[1]})["id"],
    ]  # fmt: skip
    api("POST", f"/workflows/{id}/initialize_jobs")
    nodes = [
        api("POST", "/compute_nodes", {"workflow_id": id, "hostname": name, "pid": 1, "start_time": START, "num_cpus": 4,
                                       "memory_gb": 8, "num_gpus": 0, "num_nodes": 1, "compute_node_type": "local",
                                       "is_active": name == "n1"})["id"]
        for name in ("n1", "n2")
    ]  # fmt: skip
    schedulers = [
        api("POST", "/slurm_schedulers", {"workflow_id": id, "name": name, "account": "a", "nodes": 1,
                                          "walltime": "01:00:00"})["id"]
        for name in ("s1", "s2")
    ]  # fmt: skip
    for number, (scheduler, status) in enumerate(zip(schedulers, ("pending", "active"), strict=True), 10):
        api("POST", "/scheduled_compute_nodes", {"workflow_id": id, "scheduler_id": number, "scheduler_type": "slurm",
                                                 "scheduler_config_id": scheduler, "status": status})  # fmt: skip
    for name, memory, cpus in (("l1", "1g", 1), ("l2", "2g", 2)):
        api(
            "POST", "/local_schedulers", {"workflow_id": id, "name": name, "memory": memory, "num_cpus": cpus}
        )
    for number, (job, node) in enumerate(zip(jobs, nodes, strict=True)):
        status = ("failed", "terminated")[number]
        api("POST", "/results", {"job_id": job, "workflow_id": id, "run_id": 1, "attempt_id": 1 + number,
                                 "compute_node_id": node, "return_code": 3 + number, "exec_time_minutes": 1.5,
                                 "completion_time": START, "status": status})  # fmt: skip
        api("POST", "/slurm_stats", {"workflow_id": id, "job_id": job, "run_id": 1, "attempt_id": 1 + number})
        api("POST", "/ro_crate_entities", {"workflow_id": id, "entity_id": f"e{number}", "entity_type": "File",
                                           "file_id": files[number], "metadata": {}})  # fmt: skip
        api("POST", "/events", {"workflow_id": id, "timestamp": 0, "data": {"category": f"c{number}"}})
        clock.move(1)
    api.facts = {
        "workflow": id,
        "files": files,
        "jobs": jobs,
        "nodes": nodes,
        "schedulers": schedulers,
        "data": data,
    }
    return api


def lists(facts: Mapping[str, Any]) -> Mapping[str, Mapping[str, Sequence[Any]]]:
    """By path, the parameters and a value of each that only the first record has, then only the second."""
    id, files, jobs, nodes = (facts[name] for name in ("workflow", "files", "jobs", "nodes"))
    return {
        "/jobs": {
            "status": ("ready", "blocked"), "needs_file_id": (None, files[0]), "upstream_job_id": (None, jobs[0]),
            "name": ("t_%", "seco"), "command": ("it", "do that"),
        },
        "/files": {
            "name": ("in", "out"), "path": ("/in", "/out"), "is_output": ("false", "true"),
            "produced_by_job_id": (None, jobs[0]),
        },
        "/user_data": {
            "name": ("e_%", "tw"), "is_ephemeral": ("true", "false"), "consumer_job_id": (jobs[0], None),
            "producer_job_id": (None, jobs[1]),
        },
        "/resource_requirements": {
            "name": ("small", "large"), "memory": (None, "8g"), "num_cpus": (None, 8), "num_gpus": (None, 2),
            "num_nodes": (None, 3), "runtime": (None, 7200), "job_id": (jobs[0], jobs[1]),
        },
        "/results": {
            "job_id": (jobs[0], jobs[1]), "return_code": (3, 4), "status": ("failed", "terminated"),
            "compute_node_id": (nodes[0], nodes[1]),
        },
        "/compute_nodes": {"hostname": ("n1", "n2"), "is_active": ("true", "false")},
        "/scheduled_compute_nodes": {
            "scheduler_id": (10, 11), "status": ("pending", "active"),
            "scheduler_config_id": tuple(facts["schedulers"]),
        },
        "/local_schedulers": {"memory": ("1g", "2g"), "num_cpus": (1, 2)},
        "/slurm_stats": {"job_id": (jobs[0], jobs[1]), "attempt_id": (1, 2)},
        "/events": {"category": ("c0", "c1")},
        f"/workflows/{id}/ro_crate_entities": {"file_id": (files[0], files[1]), "entity_id": ("e0", "e1")},
    }  # fmt: skip


def found(api: Any, path: str, /, **params: Any) -> list[int]:
    query = {"all_runs": "true"} if path == "/results" else {}
    if not path.startswith("/workflows"):
        query["workflow_id"] = api.facts["workflow"]
    return [one["id"] for one in api("GET", path, params={**query, **params})["items"]]


def test_every_filter_alone_finds_the_one_record_that_it_means(full) -> None:
    for path, filters in lists(full.facts).items():
        first: set[int] = set()
        second: set[int] = set()
        for name, values in filters.items():
            for value, seen in zip(values, (first, second), strict=True):
                if value is not None:
                    ids = found(full, path, **{name: value})
                    assert len(ids) == 1, (path, name, value, ids)
                    seen.update(ids)
        assert len(first) == len(second) == 1, (path, first, second)
        assert first != second


def test_two_filters_have_to_hold_both(full) -> None:
    for path, filters in lists(full.facts).items():
        for (one, values), (other, others) in itertools.combinations(filters.items(), 2):
            if None in (values[1], others[1], others[0]):
                continue
            assert len(found(full, path, **{one: values[1], other: others[1]})) == 1, (path, one, other)
            assert found(full, path, **{one: values[1], other: others[0]}) == [], (path, one, other)


def test_workflows_are_filtered_by_name_user_description_and_archive(each) -> None:
    first, second = each.workflow(description="a b_c"), each.workflow(name="v", user="bob")

    def ids(**params: Any) -> list[int]:
        return [one["id"] for one in each("GET", "/workflows", params=params)["items"]]

    assert ids() == [first, second]
    assert ids(name="v") == [second]
    assert ids(user="ann") == [first]
    assert ids(description="b_") == [first]
    assert ids(description="b.") == []
    assert ids(is_archived="false") == [first, second]
    assert ids(is_archived="1") == []


def test_pages_tell_what_follows(each) -> None:
    id = each.workflow()
    jobs = each.jobs(id, *"abcde")

    page = each("GET", "/jobs", params={"workflow_id": id, "offset": 1, "limit": 2})
    last = each("GET", "/jobs", params={"workflow_id": id, "offset": 4})
    beyond = each("GET", "/jobs", params={"workflow_id": id, "offset": 9})

    assert [one["id"] for one in page["items"]] == jobs[1:3]
    assert {name: value for name, value in page.items() if name != "items"} == {
        "offset": 1, "limit": 2, "max_limit": 100_000, "count": 2, "total_count": 5, "has_more": True,
    }  # fmt: skip
    assert (last["count"], last["has_more"]) == (1, False)
    assert (beyond["count"], beyond["has_more"], beyond["total_count"]) == (0, False, 5)


def test_a_limit_that_is_too_large_is_cut(each) -> None:
    id = each.workflow()

    assert each("GET", "/jobs", params={"workflow_id": id, "limit": 10**9})["limit"] == 100_000


def test_lists_are_sorted_by_fields_of_the_wire(each) -> None:
    id = each.workflow()
    jobs = each.jobs(id, "b", "a", "b")

    def ids(**params: Any) -> list[int]:
        return [one["id"] for one in each("GET", "/jobs", params={"workflow_id": id, **params})["items"]]

    assert ids(sort_by="name") == [jobs[1], jobs[0], jobs[2]]
    assert ids(sort_by="name", reverse_sort="true") == [jobs[0], jobs[2], jobs[1]]
    assert ids(sort_by="resource_requirements_id") == jobs
    assert ids(reverse_sort="true") == jobs[::-1]


@pytest.mark.parametrize("name", ["nme", "id;drop table", "requirement_id", "env", ""])
def test_a_field_that_cannot_be_sorted_by_is_refused_with_those_that_can(each, name: str) -> None:
    id = each.workflow()

    result = each.send("GET", "/jobs", params={"workflow_id": id, "sort_by": name}, params_csv=False)

    assert result.status_code == 422
    assert "priority" in result.json["error"]["message"]


def test_relations_come_only_when_they_are_asked_for(each) -> None:
    id = each.workflow()
    first = each.jobs(id, "a")[0]
    each.jobs(id, "b", depends_on_job_ids=[first])

    plain = each("GET", "/jobs", params={"workflow_id": id})["items"][1]
    whole = each("GET", "/jobs", params={"workflow_id": id, "include_relationships": "true"})["items"][1]

    assert "depends_on_job_ids" not in plain
    assert whole["depends_on_job_ids"] == [first]
    assert whole["input_file_ids"] == []


def test_a_list_of_a_workflow_that_is_not_there_is_a_404(each) -> None:
    for path in ("/jobs", "/files", "/results", "/events", "/compute_nodes", "/slurm_stats", "/user_data"):
        assert each.send("GET", path, params={"workflow_id": 99}).status_code == 404, path


def test_results_of_run_0_are_those_of_the_current_run(full) -> None:
    assert len(found(full, "/results", run_id=0)) == 2
    assert found(full, "/results", run_id=2) == []
