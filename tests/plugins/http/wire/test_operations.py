"""What the operations do, as far as the wire adds to the rules of the stores (`wire.md` §3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from torc_core.errors import Full

START = "2026-05-01T14:03:22.120Z"


def message(result: Any, status: int) -> str:
    assert result.status_code == status, result.text
    return result.json["error"]["message"]


def node(api: Any, workflow: int, **more: Any) -> int:
    body = {
        "workflow_id": workflow, "hostname": "n1", "pid": 1, "start_time": START, "num_cpus": 4, "memory_gb": 8,
        "num_gpus": 0, "num_nodes": 1, "compute_node_type": "local", **more,
    }  # fmt: skip
    return api("POST", "/compute_nodes", body)["id"]


def result(workflow: int, job: int, **more: Any) -> dict[str, Any]:
    return {
        "job_id": job, "workflow_id": workflow, "run_id": 0, "compute_node_id": 0, "return_code": 0,
        "exec_time_minutes": 0.5, "completion_time": START, "status": "completed", **more,
    }  # fmt: skip


def started(api: Any, *names: str) -> tuple[int, list[int]]:
    id = api.workflow()
    jobs = api.jobs(id, *names)
    api("POST", f"/workflows/{id}/initialize_jobs")
    return id, jobs


# Workflows.


def test_null_keeps_and_empty_values_clear(each) -> None:
    id = each.workflow(description="d", env={"A": "1"}, project="p", metadata={"a": 1})
    body = {"name": "w", "user": "ann", "description": "", "env": {}, "project": None, "metadata": {}}

    changed = each("PUT", f"/workflows/{id}", body)

    assert "description" not in changed
    assert not changed.get("env")
    assert not changed.get("metadata")
    assert changed["project"] == "p"


def test_a_lease_that_no_runner_could_count_is_refused(each) -> None:
    body = {"name": "w", "user": "ann", "compute_node_wait_for_healthy_database_minutes": 2**31}

    sentence = "is out of range; write an integer from 1 to 2147483647"

    assert sentence in message(each.send("POST", "/workflows", body), 422)
    assert sentence in message(each.send("PUT", f"/workflows/{each.workflow()}", body), 422)


def test_flags_and_runs_of_a_workflow_are_not_changed_by_a_put(each) -> None:
    id = each.workflow()
    body = {"name": "x", "user": "ann", "run_id": 7, "is_canceled": True, "is_archived": True}

    changed = each("PUT", f"/workflows/{id}", body)

    assert (changed["name"], changed["run_id"], changed["is_canceled"], changed["is_archived"]) == (
        "x",
        0,
        False,
        False,
    )


def test_a_workflow_is_created_for_groups_that_exist(each) -> None:
    each("POST", "/access_groups", {"name": "team"})

    id = each.workflow(access_groups=["team"])

    assert each("GET", f"/workflows/{id}")["access_groups"] == ["team"]
    unknown = each.send("POST", "/workflows", {"name": "w", "user": "ann", "access_groups": ["nobody"]})
    assert "nobody" in message(unknown, 422)


def test_old_clients_set_flags_and_runs_by_the_status(each) -> None:
    id, _ = started(each, "a")

    each("PUT", f"/workflows/{id}/status", {"run_id": 2, "is_canceled": True})
    canceled = each("GET", f"/workflows/{id}/status")
    each("PUT", f"/workflows/{id}/status", {"run_id": 0, "is_canceled": False, "is_archived": True})
    archived = each("GET", f"/workflows/{id}/status")

    assert (canceled["run_id"], canceled["is_canceled"], canceled["is_complete"]) == (2, True, True)
    assert (archived["run_id"], archived["is_canceled"], archived["is_archived"]) == (2, False, True)
    smaller = each.send("PUT", f"/workflows/{id}/status", {"run_id": 1, "is_canceled": False})
    assert "1" in message(smaller, 422)


def test_an_empty_workflow_is_complete_once_it_is_initialised(each) -> None:
    id = each.workflow()

    assert not each("GET", f"/workflows/{id}/is_complete")["is_complete"]
    each("POST", f"/workflows/{id}/initialize_jobs")
    assert each("GET", f"/workflows/{id}/is_complete")["is_complete"]


def test_an_initialisation_may_be_asked_after(each) -> None:
    id = each.workflow()
    each.jobs(id, "a")

    begun = each.send("POST", f"/workflows/{id}/initialize_jobs", params={"async": "true"})

    assert begun.status_code == 202
    task = each("GET", f"/tasks/{begun.json['id']}")
    assert (task["operation"], task["status"], task["workflow_id"]) == ("initialize_jobs", "succeeded", id)
    assert each("GET", f"/workflows/{id}/active_task") == {"task": None}


# Jobs.


def test_a_job_takes_the_default_requirement_and_its_relations_are_told(each) -> None:
    id = each.workflow()
    first, second = each.jobs(id, "a", "b")
    body = {"workflow_id": id, "name": "c", "command": "true", "depends_on_job_ids": [second, first, second]}

    job = each("POST", "/jobs", body)

    assert job["depends_on_job_ids"] == [first, second]
    assert each("GET", f"/jobs/{job['id']}") == job
    assert each("GET", f"/resource_requirements/{job['resource_requirements_id']}")["name"] == "default"


def test_one_call_adds_jobs_to_one_workflow_all_or_none(each) -> None:
    id, other = each.workflow(), each.workflow()
    jobs = [{"workflow_id": one, "name": "a", "command": "true"} for one in (id, other)]

    assert "[1].workflow_id" in message(each.send("POST", "/bulk_jobs", {"jobs": jobs}), 422)
    wrong = [jobs[0], {**jobs[0], "depends_on_job_ids": [99]}]
    assert "99" in message(each.send("POST", "/bulk_jobs", {"jobs": wrong}), 422)
    assert each("POST", "/bulk_jobs", {"jobs": []}) == {"jobs": []}
    assert each("GET", "/jobs", params={"workflow_id": id})["total_count"] == 0


def test_what_may_not_change_is_named_and_what_is_equal_is_no_change(each) -> None:
    _, (job, other) = started(each, "a", "b")
    sent_back = each("GET", f"/jobs/{job}")

    assert each("PUT", f"/jobs/{job}", {**sent_back, "priority": 5, "label": "x"})["priority"] == 5
    assert "label" not in each("PUT", f"/jobs/{job}", {**sent_back, "label": ""})
    refused = each.send(
        "PUT", f"/jobs/{job}", {**sent_back, "command": "false", "depends_on_job_ids": [other]}
    )
    said = message(refused, 422)
    assert "command" in said
    assert "depends_on_job_ids" in said
    assert "ready" in said


def test_a_job_is_disabled_unless_somebody_has_it(each) -> None:
    _, (job, other) = started(each, "a", "b")
    disabled = each("GET", f"/jobs/{job}") | {"status": "disabled"}

    assert each("PUT", f"/jobs/{job}", disabled)["status"] == "disabled"
    each("PUT", f"/jobs/{other}/manage_status_change/running/0")
    running = each("GET", f"/jobs/{other}") | {"status": "disabled"}
    assert "cancel it first" in message(each.send("PUT", f"/jobs/{other}", running), 422)


def test_the_dependencies_of_a_job_are_replaced_while_it_is_uninitialized(each) -> None:
    id = each.workflow()
    first, second = each.jobs(id, "a", "b")
    job = each("GET", f"/jobs/{second}")

    assert each("PUT", f"/jobs/{second}", {**job, "depends_on_job_ids": [first]})["depends_on_job_ids"] == [
        first
    ]
    circle = each("GET", f"/jobs/{first}") | {"depends_on_job_ids": [second]}
    assert "which waits for it" in message(each.send("PUT", f"/jobs/{first}", circle), 422)
    assert each("PUT", f"/jobs/{second}", {**job, "depends_on_job_ids": []})["depends_on_job_ids"] == []


# Attempts.


def test_an_empty_claim_says_why(each) -> None:
    id, _ = started(each, "a")
    offer = {"num_cpus": 0, "memory_gb": 1, "num_gpus": 0, "num_nodes": 1}
    claim = f"/workflows/{id}/claim_jobs_based_on_resources"

    assert each("POST", f"{claim}/5", offer)["reason"].startswith("1 ready job: 1 needs more CPUs than")
    assert "limit is -1" in each("POST", f"{claim}/-1", offer)["reason"]
    assert "time_limit" in message(each.send("POST", f"{claim}/5", {**offer, "time_limit": "1h"}), 422)
    each("PUT", f"/workflows/{id}/cancel")
    assert "canceled" in each("POST", f"/workflows/{id}/claim_next_jobs")["reason"]


def test_a_claim_by_resources_keeps_to_what_its_node_has_left(each) -> None:
    id, jobs = started(each, "a", "b", "c")
    small = node(each, id, num_cpus=2)
    offer = {"num_cpus": 8, "memory_gb": 8, "num_gpus": 0, "num_nodes": 1, "id": small}

    claim = f"/workflows/{id}/claim_jobs_based_on_resources/9"
    given = each("POST", claim, offer)["jobs"]
    more = each("POST", claim, offer)

    assert [job["id"] for job in given] == jobs[:2]
    assert more["jobs"] == []
    assert more["reason"]


def test_what_a_runner_claimed_and_never_started_is_ready_when_it_goes(each) -> None:
    id, jobs = started(each, "a", "b")
    small = node(each, id, num_cpus=2)
    offer = {"num_cpus": 8, "memory_gb": 8, "num_gpus": 0, "num_nodes": 1, "id": small}
    each("POST", f"/workflows/{id}/claim_jobs_based_on_resources/9", offer)
    each("PUT", f"/jobs/{jobs[0]}/start_job/0/{small}")

    each("PUT", f"/compute_nodes/{small}", {**each("GET", f"/compute_nodes/{small}"), "is_active": False})

    assert [each("GET", f"/jobs/{job}")["status"] for job in jobs] == ["running", "ready"]


def test_a_claim_belongs_to_its_scheduler(each) -> None:
    id = each.workflow()
    scheduler = {"workflow_id": id, "account": "a", "nodes": 1, "walltime": "01:00:00"}
    one, other = (each("POST", "/slurm_schedulers", scheduler)["id"] for _ in range(2))
    bound = each.jobs(id, "a", scheduler_id=one)
    each("POST", f"/workflows/{id}/initialize_jobs")
    offer = {"num_cpus": 8, "memory_gb": 8, "num_gpus": 0, "num_nodes": 1, "scheduler_config_id": other}
    claim = f"/workflows/{id}/claim_jobs_based_on_resources/9"

    assert each("POST", claim, offer, params={"strict_scheduler_match": "true"})["jobs"] == []
    mine = each(
        "POST", claim, {**offer, "scheduler_config_id": one}, params={"strict_scheduler_match": "true"}
    )
    assert [job["id"] for job in mine["jobs"]] == bound


def test_a_start_is_repeated_by_its_node_and_by_no_other(each) -> None:
    id, (job, other) = started(each, "a", "b")
    first, second = node(each, id), node(each, id, pid=2)
    each("POST", f"/workflows/{id}/claim_next_jobs", params={"limit": 1})

    assert each("PUT", f"/jobs/{job}/start_job/1/{first}")["compute_node_id"] == first
    assert each("PUT", f"/jobs/{job}/start_job/1/{first}")["status"] == "running"
    assert str(first) in message(each.send("PUT", f"/jobs/{job}/start_job/1/{second}"), 409)
    assert "ready" in message(each.send("PUT", f"/jobs/{other}/start_job/1/{first}"), 422)
    assert "run 7" in message(each.send("PUT", f"/jobs/{other}/start_job/7/{first}"), 422)


def test_a_completion_speaks_of_the_job_it_is_sent_for(each) -> None:
    id, (job, other) = started(each, "a", "b")

    def send(status: str, body: dict[str, Any], run: int = 1) -> Any:
        return each.send("POST", f"/jobs/{job}/complete_job/{status}/{run}", body)

    assert "job_id" in message(send("completed", result(id, other)), 422)
    assert "workflow_id" in message(send("completed", result(id + 1, job)), 422)
    assert "status" in message(send("failed", result(id, job)), 422)
    assert "run_id" in message(send("completed", result(id, job, run_id=2)), 422)
    assert "running" in message(send("running", result(id, job, status="running")), 422)
    assert "return code 3" in message(send("completed", result(id, job, return_code=3)), 422)
    assert send("completed", result(id, job)).json["status"] == "completed"
    assert send("completed", result(id, job)).status_code == 200
    assert "already" in message(send("failed", result(id, job, status="failed", return_code=1)), 422)


def test_in_a_batch_a_refused_completion_spoils_no_other(each) -> None:
    id, jobs = started(each, *"abc")
    each("POST", f"/jobs/{jobs[0]}/complete_job/completed/0", result(id, jobs[0]))
    entries = [
        {"job_id": job, "run_id": 1, "status": status, "result": result(id, job, status=status, return_code=code)}
        for job, status, code in (
            (jobs[0], "completed", 0), (jobs[1], "completed", 0), (jobs[1], "failed", 1), (99, "failed", 1),
        )
    ]  # fmt: skip

    told = each("POST", f"/workflows/{id}/batch_complete_jobs", {"completions": entries})

    assert told["completed"] == jobs[:2]
    assert [error["job_id"] for error in told["errors"]] == [99, jobs[1]]
    assert "already" in told["errors"][1]["message"]


@pytest.mark.parametrize("count", [1, 2])
def test_a_database_that_fails_fails_the_whole_batch(each, monkeypatch, count: int) -> None:
    id, jobs = started(each, "a", "b")
    entries = [
        {"job_id": job, "run_id": 0, "status": "completed", "result": result(id, job)} for job in jobs[:count]
    ]

    def full(*args: Any) -> None:
        raise Full("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(each.store, "finish", full)
        failed = each.send("POST", f"/workflows/{id}/batch_complete_jobs", {"completions": entries})

    assert message(failed, 507) == "the disk is full"
    told = each("POST", f"/workflows/{id}/batch_complete_jobs", {"completions": entries})
    assert told == {"completed": jobs[:count], "errors": []}


def test_children_are_spawned_by_a_running_job_only(each) -> None:
    _, (job,) = started(each, "a")
    body = {"jobs": [{"name": "child", "command": "true", "label": "x"}], "state": {"n": 1}}

    assert "running" in message(each.send("POST", f"/jobs/{job}/spawn_jobs", body), 422)
    each("PUT", f"/jobs/{job}/manage_status_change/running/0")
    spawned = each("POST", f"/jobs/{job}/spawn_jobs", body)
    assert each("POST", f"/jobs/{job}/spawn_jobs", body) == spawned
    child = each("GET", f"/jobs/{spawned['spawned_job_ids'][0]}")
    assert (child["origin"], child["status"], child["depends_on_job_ids"], child["label"]) == (
        "spawn",
        "blocked",
        [job],
        "x",
    )
    assert "unknown key" in message(each.send("POST", f"/jobs/{job}/spawn_jobs", {**body, "more": 1}), 422)


def test_a_child_that_is_read_changed_and_sent_back_is_changed(each) -> None:
    _, (job,) = started(each, "a")
    each("PUT", f"/jobs/{job}/manage_status_change/running/0")
    body = {"jobs": [{"name": "child", "command": "true"}]}
    (child,) = each("POST", f"/jobs/{job}/spawn_jobs", body)["spawned_job_ids"]
    read = each("GET", f"/jobs/{child}")

    assert each("PUT", f"/jobs/{child}", read) == read
    assert each("PUT", f"/jobs/{child}", {**read, "priority": 5}) == {**read, "priority": 5}


def test_the_variable_of_a_lineage_is_given_to_children_only(each) -> None:
    id = each.workflow()
    env = {"TORC_ORCHESTRATOR_LINEAGE_ID": "l"}

    body = {"workflow_id": id, "name": "j", "command": "true", "env": env}
    assert "reserved" in message(each.send("POST", "/jobs", body), 422)
    assert "TORC_" in message(each.send("POST", "/workflows", {"name": "w", "user": "ann", "env": env}), 422)


def test_jobs_that_ask_for_more_than_can_be_counted_together_are_looked_at(each) -> None:
    id = each.workflow()
    for runtime in ("PT1M", "PT2M", "PT3M"):
        body = {"workflow_id": id, "name": runtime, "memory": "8388607t", "runtime": runtime}
        each.jobs(id, runtime, resource_requirements_id=each("POST", "/resource_requirements", body)["id"])
    each("POST", f"/workflows/{id}/initialize_jobs")
    runner = node(each, id)

    assert each("GET", f"/workflows/{id}/ready_job_requirements")["num_jobs"] == 3
    for job in each("POST", f"/workflows/{id}/claim_next_jobs", params={"limit": 2})["jobs"]:
        each("PUT", f"/jobs/{job['id']}/start_job/1/{runner}")
    assert each("GET", f"/workflows/{id}/status", params={"view": "full"})["jobs_by_status"]["running"] == 2
    assert each("GET", f"/x/workflows/{id}/explain")["is_complete"] is False


# Records.


def test_user_data_is_linked_to_the_jobs_that_are_named(each) -> None:
    id = each.workflow()
    first, second = each.jobs(id, "a", "b")

    data = each(
        "POST",
        "/user_data",
        {"workflow_id": id, "name": "u"},
        params={"producer_job_id": first, "consumer_job_id": second},
    )

    assert each("GET", f"/jobs/{first}")["output_user_data_ids"] == [data["id"]]
    assert each("GET", f"/jobs/{second}")["input_user_data_ids"] == [data["id"]]
    reserved = each.send("POST", "/user_data", {"workflow_id": id, "name": "__torc_x"})
    assert "__torc_" in message(reserved, 422)


def test_rules_of_failure_handlers_are_read_at_once(each) -> None:
    id = each.workflow()
    body = {"workflow_id": id, "name": "h"}

    handler = each("POST", "/failure_handlers", {**body, "rules": '[{"exit_codes": [3], "max_retries": 1}]'})

    assert json.loads(handler["rules"])[0]["backoff_multiplier"] == 2.0
    for rules, said in (
        ("{", "JSON"),
        ("[]", "empty"),
        ('[{"exit_codes": [0]}]', "rules[0].exit_codes[0]"),
        ("[{}]", "matches nothing"),
    ):
        assert said in message(each.send("POST", "/failure_handlers", {**body, "rules": rules}), 422)


def test_the_status_of_an_allocation_only_goes_forward(each) -> None:
    id = each.workflow()
    body = {
        "workflow_id": id,
        "scheduler_id": 7,
        "scheduler_config_id": 0,
        "scheduler_type": "slurm",
        "status": "active",
    }
    one = each("POST", "/scheduled_compute_nodes", body)
    path = f"/scheduled_compute_nodes/{one['id']}"

    assert each("POST", "/scheduled_compute_nodes", body)["id"] == one["id"]
    assert "active" in message(each.send("PUT", path, {**one, "status": "pending"}), 422)
    assert each("PUT", path, {**one, "status": "complete"})["status"] == "complete"
    assert "complete" in message(each.send("PUT", path, {**one, "status": "canceled"}), 422)


def test_a_runner_that_registers_again_is_the_same_and_goes_once(each) -> None:
    id = each.workflow()
    first = node(each, id)

    assert node(each, id) == first
    model = each("GET", f"/compute_nodes/{first}")
    gone = each("PUT", f"/compute_nodes/{first}", {**model, "is_active": False})
    assert not gone["is_active"]
    assert gone["state"] == "ended"


def test_an_action_is_claimed_once(each) -> None:
    id = each.workflow()
    action = {"workflow_id": id, "trigger_type": "on_workflow_start", "action_type": "run_commands"}
    made = each("POST", f"/workflows/{id}/actions", {**action, "action_config": {"commands": ["true"]}})
    each("POST", f"/workflows/{id}/initialize_jobs")
    one, other = node(each, id), node(each, id, pid=2)
    path = f"/workflows/{id}/actions/{made['id']}/claim"

    assert each("POST", path, {"compute_node_id": one})["success"]
    assert each("POST", path, {"compute_node_id": one})["claimed"]
    refused = each.send("POST", path, {"compute_node_id": other})
    message(refused, 409)
    assert refused.json["error"]["claimed"] is False
    assert each("GET", f"/workflows/{id}/actions/pending") == []


@pytest.mark.parametrize(
    ("type_", "config", "field"),
    [
        ("run_commands", {"commands": []}, "action_config.commands"),
        ("run_commands", {"commands": ["a"], "more": 1}, "action_config.more"),
        ("schedule_nodes", {"num_allocations": 0}, "action_config.num_allocations"),
        ("fly", {}, "action_type"),
    ],
)
def test_a_wrong_action_is_refused(each, type_: str, config: dict[str, Any], field: str) -> None:
    id = each.workflow()
    body = {
        "workflow_id": id,
        "trigger_type": "on_workflow_start",
        "action_type": type_,
        "action_config": config,
    }

    refused = each.send("POST", f"/workflows/{id}/actions", body)

    message(refused, 422)
    assert refused.json["error"]["field"] == field


def test_remote_workers_are_added_once_by_host(each) -> None:
    id = each.workflow()
    path = f"/workflows/{id}/remote_workers"

    each("POST", path, ["u@h1:22", "u@h1:22", "h2"])

    assert [one["worker"] for one in each("GET", path)] == ["h2", "u@h1:22"]
    assert "u@h1:22" in message(each.send("POST", path, ["v@h1"]), 422)
    message(each.send("POST", path, ["-oProxyCommand=x"]), 422)
    assert each("DELETE", f"{path}/u%40h1%3A22")["worker"] == "u@h1:22"


def test_groups_are_named_once_and_the_one_of_the_server_stays(each) -> None:
    group = each("POST", "/access_groups", {"name": "team"})["id"]

    message(each.send("POST", "/access_groups", {"name": "team"}), 409)
    message(each.send("POST", "/access_groups", {"name": "admin"}), 409)
    message(each.send("POST", "/access_groups", {"name": "-x"}), 422)
    member = {"group_id": 99, "user_name": "bob", "role": ""}
    assert each("POST", f"/access_groups/{group}/members", member)["role"] == "member"
    message(each.send("POST", f"/access_groups/{group}/members", member), 409)
    message(each.send("POST", f"/access_groups/{group}/members", {**member, "role": "king"}), 422)
    message(each.send("DELETE", f"/access_groups/{group}/members/eve"), 404)


def test_events_of_clients_change_and_those_of_torc_do_not(each) -> None:
    id = each.workflow()
    own = each("GET", "/events", params={"workflow_id": id})["items"][0]["id"]

    for data in ([1, 2], "text", None, {"category": "job_completed"}):
        event = each("POST", "/events", {"workflow_id": id, "timestamp": 5, "data": data})
        assert event["data"] == data
        assert event["timestamp"] != 5
    assert each("PUT", f"/events/{event['id']}", {"a": 1})["data"] == {"a": 1}
    message(each.send("PUT", f"/events/{own}", {"a": 1}), 403)
    message(each.send("DELETE", f"/events/{own}"), 403)
    assert each("DELETE", "/events", params={"workflow_id": id})["count"] == 4
