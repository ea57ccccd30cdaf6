"""The verbs of the store over HTTP take what the protocol says, and nothing else gets as far as a store."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plugins.http.x.conftest import Api
from torc_core.store.calls import CALLS

KIND = {"#": "File"}
WORKFLOW = {"#": "Workflow"}
MANY = {"{}": [[1, 2]]}


def say(api: Api, verb: str, *args: Any, **named: Any) -> Any:
    return api.ask("POST", f"/x/store/{verb}", {"args": list(args), "named": named})


@pytest.mark.parametrize(
    ("verb", "args", "sentence"),
    [
        ("turn", (), "turn cannot be called so: missing a required argument: 'turn'"),
        ("turn", ("x",), "turn: turn has to be a Turn, got 'x'"),
        ("turn", ({"@": "Turn", "node": [1], "epoch": "e"},), "turn: turn.node has to be int, got 'list'"),
        ("turn", ({"@": "Turn", "node": 1, "epoch": "e", "beat": 5},), "turn: turn.beat has to be Beat or null, got 5"),
        ("claim", (True, {"@": "Offer", "claim_id": "c", "free": []}), "claim: workflow has to be int, got True"),
        ("claim", (1, {"@": "Offer", "claim_id": "c", "free": [7]}), "claim: offer.free[0] has to be a Resources, got 7"),
        ("totals", ([1, "a"],), "totals: workflows[1] has to be int, got 'a'"),
        ("get", ("File", 1), "get: kind has to be a kind of records, got 'File'"),
        ("cancel", (1, 5), "cancel: reason has to be str or null, got 5"),
        ("cancel", ("\ud800",), "cancel: workflow has to be int, got '?'"),
        ("archive", (1, "yes"), "archive: archived has to be bool, got 'yes'"),
        ("change", (KIND, 1, {"st_mtime": "abc"}), "change: fields.st_mtime has to be float or null, got 'abc'"),
        ("change", (KIND, 1, {"size": 1.5}), "change: fields.size has to be int or null, got 1.5"),
        ("change", ({"#": "Job"}, 1, {"priority": True}), "change: fields.priority has to be int, got True"),
        ("change", ({"#": "Job"}, 1, {"input_files": ["x"]}), "change: fields.input_files[0] has to be int, got 'x'"),
        ("change", ({"#": "Job"}, 1, {"status": "x"}), "change: fields.status has to be a JobStatus, got 'x'"),
        ("change", (WORKFLOW, 1, {"metadata": [1]}), "change: fields.metadata has to be an object, got 'list'"),
        ("change", (WORKFLOW, 1, {"metadata": {"a": MANY}}), "change: fields.metadata.a has to be null or bool or int"),
        ("change", (WORKFLOW, 1, {"submit_options": 5}), "change: fields.submit_options has to be Mapping or null, got 5"),
        ("add", ([{"@": "File", "workflow_id": 1, "name": "f", "path": 7}],), "add: records[0].path has to be str, got 7"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_verb_is_refused_by_its_place(
    api: Api, verb: str, args: Any, sentence: str
) -> None:
    api.plan({"name": "a", "command": "true"})

    said = say(api, verb, *args)

    assert said.status == 422, said
    assert said.body["error"]["message"].startswith(sentence)


JOB = {"@": "PlannedJob", "name": "a", "command": "true"}
GROUP = {"()": [0, {"=": "Source", "value": 1}]}


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ({"jobs": [{**JOB, "groups": [GROUP]}]}, "plan.jobs.groups names position 0, and the plan has 0 groups"),
        ({"jobs": [{**JOB, "groups": [GROUP]}], "groups": [[5]]}, "plan.groups names position 5, and the plan has 1 jobs"),
        ({"jobs": [{**JOB, "requirement": 9}]}, "plan.jobs.requirement names position 9"),
        ({"jobs": [{**JOB, "command": "cat \x007\x00"}]}, "plan.a mark in command names position 7"),
        ({"jobs": [{**JOB, "command": "cat \x00"}]}, "command holds a NUL character"),
        ({"jobs": [{**JOB, "name": "a\nb"}]}, "name 'a\\nb' holds a control character"),
        ({"jobs": [{**JOB, "command": ""}]}, "job 'a' needs a command"),
        ({"workflow": {"@": "PlannedWorkflow", "name": "w", "env": {"TORC_X": "1"}}}, "environment variable 'TORC_X'"),
        ({"workflow": {"@": "PlannedWorkflow", "name": "w", "api_access": "own"}}, "api_access 'own' is not known"),
        ({"requirements": [{"@": "PlannedRequirement", "name": "r", "num_cpus": -5}]}, "num_cpus -5 is out of range"),
        ({"requirements": [{"@": "PlannedRequirement", "name": "r", "memory": "2k"}]}, "memory_bytes of requirement 'r' is 2048"),
        ({"handlers": [{"@": "PlannedHandler", "name": "h", "rules": [{"a": 1}]}]}, "rules[0] knows no 'a'"),
        ({"schedulers": [{"@": "PlannedScheduler", "name": "s", "fields": {"account": "-x"}}]}, "account '-x' cannot be passed"),
        ({"actions": [{"@": "PlannedAction", "trigger_type": "x", "action_type": "run_commands", "config": {}}]}, "trigger_type 'x'"),
    ],
)  # fmt: skip
def test_a_plan_of_which_no_workflow_can_be_made_is_refused_by_its_place(
    api: Api, plan: Any, sentence: str
) -> None:
    whole = {"@": "Plan", "workflow": {"@": "PlannedWorkflow", "name": "w"}, **plan}

    said = say(api, "create", whole, "ann")

    assert said.status == 422, said
    assert said.body["error"]["message"].startswith(sentence)
    assert api("GET", "/workflows")["items"] == []


@pytest.mark.parametrize(
    ("name", "fields", "sentence"),
    [
        ("s", {"account": "a", "color": 1}, "a Slurm scheduler has no field 'color'"),
        ("s", {"account": 3}, "account 3 cannot be passed to Slurm"),
        ("s", {}, "a Slurm scheduler needs an account"),
        ("s", {"account": "a", "nodes": 0}, "nodes 0 is out of range"),
        ("", {"account": "a"}, "a Slurm scheduler needs a name"),
        ("s\n", {"account": "a"}, "name 's\\n' holds a control character"),
    ],
)
def test_a_planner_makes_no_scheduler_that_nobody_else_could_make(
    api: Api, name: str, fields: Any, sentence: str
) -> None:
    workflow = api.plan({"name": "a", "command": "true"})["workflow_id"]
    plan = {"@": "Replan", "schedulers": [{"@": "PlannedScheduler", "name": name, "fields": fields}]}

    said = say(api, "replan", workflow, plan)

    assert said.status == 422, said
    assert said.body["error"]["message"].startswith(sentence)
    assert api("GET", f"/slurm_schedulers?workflow_id={workflow}")["items"] == []


LEASE = "compute_node_wait_for_healthy_database_minutes"


@pytest.mark.parametrize("verb", sorted(CALLS - {"server_id", "sweep", "renew_leases"}))
def test_no_verb_fails_by_what_it_is_called_with(api: Api, verb: str) -> None:
    values = [None, "a", 1.5, [1], {"a": 1}, {"()": [{"()": []}]}, KIND, "\ud800"]

    said = [say(api, verb, *[value] * count) for value in values for count in range(4)]

    assert [one for one in said if one.status >= 500] == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"execution_config": {"mode": 5}}, "execution_config.mode: expected text"),
        ({"resource_monitor_config": {"enabled": 5}}, "resource_monitor_config.enabled: expected true or false"),
        ({"notify": [{"on": ["job_failed"], "sound": "x"}]}, "notify[0].sound: unknown key 'sound'"),
        ({"notify": [{"on": ["nothing"], "command": "x"}]}, "notify[0].on[0]: no event named 'nothing'"),
        ({"slurm_defaults": {"nodes": 1}}, "slurm_defaults.nodes: 'nodes' is set by torc"),
        ({LEASE: 2**31}, f"{LEASE} 2147483648 is out of range; it is a number from 1 to 2147483647"),
        ({LEASE: 0}, f"{LEASE} 0 is out of range; it is a number from 1 to 2147483647"),
    ],
)  # fmt: skip
def test_settings_that_clients_cannot_read_come_in_by_no_way(api: Api, settings: Any, sentence: str) -> None:
    workflow = api.plan({"name": "a", "command": "true"})["workflow_id"]
    document = api("GET", f"/x/workflows/{workflow}/export")
    document.pop("checksum")
    document["workflow"] |= settings
    plan = {"@": "Plan", "workflow": {"@": "PlannedWorkflow", "name": "w", **settings}}

    for said in (
        say(api, "change", WORKFLOW, workflow, settings),
        say(api, "create", plan, "ann"),
        say(api, "import_workflow", document, "ann"),
        api.ask("POST", "/x/imports", {"document": document}),
    ):
        assert said.status == 422, said
        assert said.body["error"]["message"].startswith(sentence)
    assert len(api("GET", "/workflows")["items"]) == 1
