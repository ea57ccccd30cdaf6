"""Runs, jobs, logs, merge patches, actions, allocations, transfers, explanations (`wire.md` §7.1, §7.6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.plugins.http.x.conftest import FREE, Api, result
from tests.waiting import until
from torc_core.model import Action, Job, Query
from torc_http.counting import Counts

PAIR = ({"name": "a", "command": "true"}, {"name": "b", "command": "true", "depends_on": ["a"]})


def works(api: Api, workflow: int, folder: Path, **end: Any) -> Any:
    """A node with an output folder runs one job to its end; the job."""
    node = api.node(workflow, output_dir=str(folder))["node_id"]
    claim = {"epoch": "e", "claim_id": "c", "limit": 1, "free": FREE}
    (job,) = api("POST", f"/x/nodes/{node}/claim", claim)["jobs"]
    api("POST", f"/x/nodes/{node}/finish", {"epoch": "e", "results": [result(job, **end)]})
    return job


def test_an_initialisation_says_what_it_met_and_did(api: Api) -> None:
    plan = api.plan(
        {"name": "a", "command": "true", "input_files": ["f"]}, files=[{"name": "f", "path": "/d/f"}], initialize=False
    )  # fmt: skip
    workflow, file = plan["workflow_id"], plan["ids"]["files"]["f"]
    path = f"/x/workflows/{workflow}/initialize"

    looked = api("POST", path, {"dry_run": True, "files": [{"id": file, "exists": False}]})
    refused = api.ask("POST", path, {"files": [{"id": file, "exists": False}]})
    done = api("POST", path, {"files": [{"id": file, "exists": True, "st_mtime": 1.5, "size": 3}]})

    assert (looked["safe"], looked["missing_input_files"], looked["ready"]) == (False, ["/d/f"], 0)
    assert refused.status == 422
    assert (done["safe"], done["run_id"], done["ready"], done["blocked"]) == (True, 1, 1, 0)


def test_a_long_initialisation_is_a_task(api: Api) -> None:
    workflow = api.plan(*PAIR, initialize=False)["workflow_id"]

    said = api.ask("POST", f"/x/workflows/{workflow}/initialize?async=true", {"force": True})

    assert (said.status, said.body["operation"]) == (202, "initialize")
    until(lambda: api("GET", f"/tasks/{said.body['id']}")["status"] in ("succeeded", "failed"))
    assert api("GET", f"/tasks/{said.body['id']}")["status"] == "succeeded"


def test_what_changed_runs_again(api: Api, tmp_path: Path) -> None:
    plan = api.plan({"name": "a", "command": "true"})
    job = works(api, plan["workflow_id"], tmp_path)
    api("PATCH", f"/x/jobs/{job['id']}", {"priority": 3})
    api("POST", "/x/jobs/reset", {"job_ids": [job["id"]], "reason": "again"})
    api("PATCH", f"/x/jobs/{job['id']}", {"command": "false"})

    told = api("POST", f"/x/workflows/{plan['workflow_id']}/reinitialize", {})

    assert (told["run_id"], told["ready"], "reinitialized_jobs" in told) == (2, 1, True)


def test_what_a_dead_life_of_a_host_left_is_ready_again(api: Api) -> None:
    workflow = api.plan(*PAIR)["workflow_id"]
    node = api.node(workflow)["node_id"]
    (job,) = api("POST", f"/x/nodes/{node}/claim", {"epoch": "e", "claim_id": "c", "limit": 1, "free": FREE})[
        "jobs"
    ]

    same = api("POST", f"/x/workflows/{workflow}/resume", {"hostname": "n1", "boot_id": "b"})
    other = api("POST", f"/x/workflows/{workflow}/resume", {"hostname": "n1", "boot_id": "b2"})

    assert (same["ready"], other["ready"], other["dead_node_ids"]) == ([], [job["id"]], [node])


def test_jobs_are_stopped_and_set_back_by_id(api: Api, tmp_path: Path) -> None:
    plan = api.plan(*PAIR)
    ids = plan["ids"]["jobs"]

    stopped = api("POST", "/x/jobs/stop", {"job_ids": [ids["a"]], "stop": "cancel", "reason": "no"})
    reset = api("POST", "/x/jobs/reset", {"job_ids": [ids["a"]], "downstream": True})
    empty = api.ask("POST", "/x/jobs/stop", {"job_ids": [], "stop": "cancel"})
    foreign = api.ask("POST", "/x/jobs/reset", {"job_ids": [ids["a"], api.plan(*PAIR)["ids"]["jobs"]["a"]]})

    assert (stopped["moved"], reset["moved"]) == ({"canceled": 2}, {"uninitialized": 2})
    assert (empty.status, foreign.status) == (422, 422)


def test_the_output_of_an_attempt_is_read_in_pieces(api: Api, tmp_path: Path) -> None:
    workflow = api.plan({"name": "a", "command": "true"})["workflow_id"]
    job = works(api, workflow, tmp_path)
    folder = tmp_path / "job_stdio"
    folder.mkdir()
    file = folder / f"job_wf{workflow}_j{job['id']}_r1_a1.o"
    file.write_text("one\ntwo\nthree\n")
    path = f"/x/jobs/{job['id']}/log"

    whole, tail, rest = (api("GET", f"{path}{more}") for more in ("", "?tail=2", "?offset=8"))

    assert (whole["content"], whole["size_bytes"], whole["next_offset"]) == ("one\ntwo\nthree\n", 14, 14)
    assert (tail["content"], rest["content"]) == ("two\nthree\n", "three\n")
    file.write_bytes(b"x" * (3 * 1024**2))
    assert (len(api("GET", path)["content"]), api("GET", path)["offset"]) == (1024**2, 2 * 1024**2)


def test_nothing_but_the_output_of_an_attempt_can_be_read(api: Api, tmp_path: Path) -> None:
    workflow = api.plan({"name": "a", "command": "true"})["workflow_id"]
    job = works(api, workflow, tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    name = f"job_wf{workflow}_j{job['id']}_r1_a1"
    folder = tmp_path / "job_stdio"
    path = f"/x/jobs/{job['id']}/log"

    assert api.ask("GET", path).status == 404
    folder.mkdir()
    (folder / f"{name}.o").symlink_to(secret)
    (folder / f"{name}.e").mkdir()
    assert [api.ask("GET", f"{path}?stream={one}").status for one in ("stdout", "stderr")] == [404, 404]
    (folder / f"{name}.o").unlink()
    (folder / f"{name}.e").rmdir()
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / f"{name}.o").write_text("x")
    folder.symlink_to(tmp_path / "elsewhere")
    assert api.ask("GET", path).status == 404
    assert api.ask("GET", f"{path}?path=/etc/passwd").status == 422


def test_null_clears_in_a_merge_patch_and_what_is_not_named_stays(api: Api) -> None:
    plan = api.plan(
        {"name": "a", "command": "true", "label": "big", "env": {"A": "1", "B": "2"}},
        files=[{"name": "f", "path": "/d/f", "identifier": "x:1"}], user_data=[{"name": "u", "data": {"k": [1], "m": 2}}],
        slurm_schedulers=[{"name": "s", "account": "a", "qos": "high"}], initialize=False,
    )  # fmt: skip
    ids = plan["ids"]
    workflow = plan["workflow_id"]

    job = api("PATCH", f"/x/jobs/{ids['jobs']['a']}", {"label": None, "env": {"A": None, "C": "3"}})
    file = api("PATCH", f"/x/files/{ids['files']['f']}", {"identifier": None})
    datum = api("PATCH", f"/x/user_data/{ids['user_data']['u']}", {"data": {"m": None}})
    cleared = api("PATCH", f"/x/user_data/{ids['user_data']['u']}", {"data": None})
    scheduler = api("PATCH", f"/x/slurm_schedulers/{ids['slurm_schedulers']['s']}", {"qos": None, "nodes": 3})
    api("PATCH", f"/x/workflows/{workflow}", {"description": "d", "metadata": {"x": {"y": 1, "z": 2}}})
    whole = api("PATCH", f"/x/workflows/{workflow}", {"description": None, "metadata": {"x": {"y": None}}})

    assert ("label" in job, job["env"], job["command"]) == (False, {"B": "2", "C": "3"}, "true")
    assert ("identifier" in file, file["path"]) == (False, "/d/f")
    assert (datum["data"], cleared["data"]) == ({"k": [1]}, None)
    assert ("qos" in scheduler, scheduler["nodes"], scheduler["account"]) == (False, 3, "a")
    assert ("description" in whole, whole["metadata"]) == (False, {"x": {"z": 2}})


@pytest.mark.parametrize(
    ("word", "patch"),
    [("files", {"path": None}), ("files", {"pathh": "x"}), ("files", {"id": 7}), ("files", {"size": "x"})],
)
def test_a_wrong_patch_names_the_key(api: Api, word: str, patch: dict[str, Any]) -> None:
    plan = api.plan(files=[{"name": "f", "path": "/d/f"}], initialize=False)

    said = api.ask("PATCH", f"/x/{word}/{plan['ids']['files']['f']}", patch)

    assert (said.status, said.body["error"]["field"]) == (422, next(iter(patch)))


def test_an_action_is_claimed_carried_out_and_reported(api: Api) -> None:
    workflow = api.plan(
        {"name": "a", "command": "true"},
        actions=[{"trigger_type": "on_workflow_start", "action_type": "run_commands", "commands": ["true"]}],
    )["workflow_id"]
    (action,) = api.store.find(Action, Query(workflow=workflow)).items
    path = f"/x/actions/{action.id}"

    claimed = api("POST", f"{path}/claim", {"claim_id": "one"})
    second = api.ask("POST", f"{path}/claim", {"claim_id": "two"})
    begun = api("POST", f"{path}/progress", {"claim_id": "one", "step": 1})
    failed = api("POST", f"{path}/done", {"claim_id": "one", "ok": False, "message": "exit code 3"})
    armed = api("POST", f"{path}/rearm")

    states = [one["run"]["state"] for one in (claimed, begun, failed, armed)]
    assert (states, second.status) == (["claimed", "claimed", "failed", "triggered"], 409)


def test_allocations_go_from_intent_to_end(api: Api) -> None:
    plan = api.plan({"name": "a", "command": "true"}, slurm_schedulers=[{"name": "s", "account": "a"}])
    scheduler = plan["ids"]["slurm_schedulers"]["s"]
    wish = {"request_id": "r", "scheduler_config_id": scheduler, "count": 2, "nodes": 1}
    path = f"/x/workflows/{plan['workflow_id']}/allocations"

    one, again = (api("POST", path, wish)["allocations"] for _ in range(2))
    first, second = one
    taken = api(
        "POST", f"/x/allocations/{first['id']}/submitted", {"submission_key": first["submission_key"], "slurm_job_id": "9"}
    )  # fmt: skip
    over = api("POST", f"/x/allocations/{first['id']}/ended", {"state": "COMPLETED", "evidence": "sacct"})
    refused = api("POST", f"/x/allocations/{second['id']}/refused", {"message": "no such account"})

    assert one == again
    assert [one["status"] for one in (taken, over, refused)] == ["pending", "complete", "canceled"]
    assert (taken["scheduler_id"], refused["reason"]) == (9, "no such account")


def test_a_planner_writes_all_it_decided_at_once(api: Api) -> None:
    plan = api.plan({"name": "a", "command": "true"})

    told = api(
        "POST", f"/x/workflows/{plan['workflow_id']}/replan",
        {
            "schedulers": [{"name": "s", "account": "a"}], "assign": [{"scheduler": "s", "job_ids": [plan["ids"]["jobs"]["a"]]}],
            "allocations": [{"scheduler": "s", "count": 2, "nodes": 1}],
        },
    )  # fmt: skip

    assert len(told["allocations"]) == 2
    assert api.store.get(Job, plan["ids"]["jobs"]["a"]).scheduler_id is not None


def test_a_workflow_leaves_and_comes_back(api: Api, tmp_path: Path) -> None:
    workflow = api.plan(*PAIR)["workflow_id"]
    works(api, workflow, tmp_path)

    document = api("GET", f"/x/workflows/{workflow}/export?results=true")
    copy = api("POST", "/x/imports", {"document": document, "name": "copy"})

    assert (copy["name"], copy["id"] != workflow) == ("copy", True)
    assert api.store.find(Job, Query(workflow=copy["id"])).total == 2


def test_results_of_a_node_that_is_cut_off_are_taken(api: Api) -> None:
    workflow = api.plan(*PAIR)["workflow_id"]
    node = api.node(workflow)["node_id"]
    (job,) = api("POST", f"/x/nodes/{node}/claim", {"epoch": "e", "claim_id": "c", "limit": 1, "free": FREE})[
        "jobs"
    ]

    told = api(
        "POST",
        f"/x/workflows/{workflow}/reconcile",
        {"results": [result(job), {**result(job), "lease": "x"}]},
    )

    assert told["results"][0]["answer"] == "ok"
    assert api.store.get(Job, job["id"]).status.label == "completed"


def test_a_server_says_why_nothing_runs(api: Api) -> None:
    plan = api.plan(*PAIR)

    job = api("GET", f"/x/jobs/{plan['ids']['jobs']['b']}/explain")
    whole = api("GET", f"/x/workflows/{plan['workflow_id']}/explain")

    assert job["verdict"]["code"] == "waiting_dependency"
    assert {one["code"]: one["count"] for one in whole["reasons"]} == {
        "no_runner": 1,
        "waiting_dependency": 1,
    }


def test_a_server_without_a_database_file_makes_no_backup(api: Api) -> None:
    assert api.ask("POST", "/x/admin/backup").status == 503


def test_a_workflow_is_drawn_and_its_status_says_what_it_waits_for(api: Api) -> None:
    workflow = api.plan(*PAIR)["workflow_id"]

    drawn = api("GET", f"/x/workflows/{workflow}/graph?view=jobs&collapse=none")
    brief, full = (api("GET", f"/workflows/{workflow}/status{more}") for more in ("", "?view=full"))

    assert [one["label"] for one in drawn["nodes"]] == ["a", "b"]
    assert len(drawn["edges"]) == 1
    assert full["waiting"] == {"no_runner": 1, "waiting_dependency": 1}
    assert {*full} - {*brief} == {
        "unreachable_compute_nodes", "elapsed_seconds", "eta", "failures_by_reason", "waiting",
    }  # fmt: skip
    staged = api("GET", f"/workflows/{workflow}/status?view=full&by_stage=true")["stages"]
    assert [(one["stage"], one["total"]) for one in staged] == [("a", 1), ("b", 1)]


LONG = 123_456_789_012_345_678_901_234_567_890


def test_integers_of_any_length_are_kept(api: Api) -> None:
    plan = api.plan(
        {"name": "a", "command": "true", "input_user_data": ["planned"]},
        user_data=[{"name": "planned", "data": {"n": LONG}}],
    )
    workflow = plan["workflow_id"]
    added = api("POST", "/user_data", {"workflow_id": workflow, "name": "added", "data": [LONG, -LONG]})

    found = api("GET", f"/user_data?workflow_id={workflow}")["items"]

    assert added["data"] == [LONG, -LONG]
    assert {one["name"]: one["data"] for one in found} == {"planned": {"n": LONG}, "added": [LONG, -LONG]}


def test_an_integer_that_is_too_long_for_a_field_is_told_as_it_was_written(api: Api) -> None:
    workflow = api.plan({"name": "a", "command": "true"})["workflow_id"]

    said = api.ask("POST", "/resource_requirements", {"workflow_id": workflow, "name": "r", "num_cpus": LONG})

    assert said.status == 422
    assert str(LONG) in str(said.body)


@pytest.mark.parametrize("data", [{"a": 1}, [1], "text", 5, None], ids=repr)
def test_an_event_of_a_user_is_written_once_whatever_it_says(api: Api, data: Any) -> None:
    workflow = api.plan(*PAIR)["workflow_id"]

    event = api("POST", "/events", {"workflow_id": workflow, "timestamp": 1, "data": data})

    assert event["data"] == data


def test_who_commits_hears_nothing_of_an_observer_that_fails(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(counts: Counts, events: Any) -> None:
        raise ValueError("what is that?")

    monkeypatch.setattr(Counts, "heard", wrong)

    assert api.plan(*PAIR)["ready"] == 1
