"""Turns of runners in JSON (`wire.md` §7.1, §8 check 9)."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.http.x.conftest import FREE, Api, Said, result
from tests.waiting import until
from torc_core.model import AuditEntry, Job, Query

CHAIN = (
    {"name": "a", "command": "true"}, {"name": "b", "command": "true", "depends_on": ["a"]},
    {"name": "c", "command": "true"},
)  # fmt: skip


def claim(claim_id: str, **more: Any) -> dict[str, Any]:
    return {"claim_id": claim_id, "limit": 10, "free": FREE, **more}


def states(api: Api, workflow: int) -> list[tuple[str, str, int]]:
    found = api.store.find(Job, Query(workflow=workflow)).items  # type: ignore[arg-type]
    return [(one.name, one.status.label, one.attempt_id) for one in found]


def together(api: Api, workflow: int, *, times: int = 1) -> None:
    """A node works off the chain in whole turns; each call is sent so many times, and only the last answer is read."""
    node = api.node(workflow, epoch=f"t{workflow}")["node_id"]
    path = f"/x/nodes/{node}/turn"

    def turn(**parts: Any) -> Any:
        for _ in range(times):
            told = api("POST", path, {"epoch": f"t{workflow}", **parts})
        return told

    jobs = {one["name"]: one for one in turn(claim=claim(f"c1{workflow}", limit=2))["claim"]["jobs"]}
    held = [[one["id"], one["attempt_id"], one["lease"]] for one in jobs.values()]
    told = turn(results=[result(jobs["a"])], beat={"held": [], "running": held}, claim=claim(f"c2{workflow}"))
    (b,) = told["claim"]["jobs"]
    turn(results=[result(b), result(jobs["c"], status="failed", code=3)])


def alone(api: Api, workflow: int) -> None:
    """The same, a call for each part."""
    epoch = f"a{workflow}"
    node = api.node(workflow, epoch=epoch)["node_id"]

    def say(verb: str, **parts: Any) -> Any:
        return api("POST", f"/x/nodes/{node}/{verb}", {"epoch": epoch, **parts})

    jobs = {one["name"]: one for one in say("claim", **claim(f"c1{workflow}", limit=2))["jobs"]}
    held = [[one["id"], one["attempt_id"], one["lease"]] for one in jobs.values()]
    say("finish", results=[result(jobs["a"])])
    say("beat", held=[], running=held)
    (b,) = say("claim", **claim(f"c2{workflow}"))["jobs"]
    say("finish", results=[result(b)])
    say("finish", results=[result(jobs["c"], status="failed", code=3)])


def test_parts_together_and_each_alone_give_the_same_states(api: Api) -> None:
    one, other = api.plan(*CHAIN)["workflow_id"], api.plan(*CHAIN)["workflow_id"]

    together(api, one)
    alone(api, other)

    assert (
        states(api, one)
        == states(api, other)
        == [("a", "completed", 1), ("b", "completed", 1), ("c", "failed", 1)]
    )


def test_a_turn_whose_answer_is_lost_is_sent_again_without_harm(api: Api) -> None:
    one, other = api.plan(*CHAIN)["workflow_id"], api.plan(*CHAIN)["workflow_id"]

    together(api, one)
    together(api, other, times=2)

    assert states(api, one) == states(api, other)
    assert len(api("GET", f"/results?workflow_id={other}")["items"]) == 3


def commits(folder: Path) -> int:
    """Transactions in the log of the database: frames that end one carry its size in pages."""
    log = (folder / "torc.db-wal").read_bytes()
    page = int.from_bytes(log[8:12], "big")
    salt = log[16:24]
    frames = range(32, len(log) - 23, 24 + page)
    return sum(
        log[at + 8 : at + 16] == salt and int.from_bytes(log[at + 4 : at + 8], "big") > 0 for at in frames
    )


def test_a_turn_is_one_commit(api: Api) -> None:
    workflow = api.plan(*CHAIN)["workflow_id"]
    node = api.node(workflow)["node_id"]
    path = f"/x/nodes/{node}/turn"
    jobs = {
        one["name"]: one for one in api("POST", path, {"epoch": "e", "claim": claim("c1")})["claim"]["jobs"]
    }
    held = [[one["id"], one["attempt_id"], one["lease"]] for one in jobs.values()]
    before = commits(api.folder)

    api(
        "POST", path,
        {"epoch": "e", "results": [result(jobs["a"])], "beat": {"held": [], "running": held}, "claim": claim("c2")},
    )  # fmt: skip

    assert commits(api.folder) - before == 1


def test_the_same_epoch_is_answered_the_same(api: Api) -> None:
    workflow = api.plan(*CHAIN)["workflow_id"]

    one, other = api.node(workflow), api.node(workflow)

    assert one == other
    assert {"node_id", "server_id", "run_id", "beat_seconds", "fence_seconds", "on_lost", "ahead_max"} <= {
        *one
    }
    assert (one["fence_seconds"], one["workflow"]["id"]) == (1200, workflow)


def test_a_wrong_epoch_is_fenced_in_every_call(api: Api) -> None:
    node = api.node(api.plan(*CHAIN)["workflow_id"])["node_id"]
    bodies: dict[str, Any] = {
        "claim": claim("c"), "started": {"starts": []}, "finish": {"results": []}, "turn": {},
        "beat": {"held": [], "running": []}, "give_back": {"jobs": []}, "leave": {"reason": "x"},
        "recovered": {"job_id": 1, "attempt_id": 1, "lease": "l", "ok": True},
    }  # fmt: skip

    for verb, body in bodies.items():
        said = api.ask("POST", f"/x/nodes/{node}/{verb}", {"epoch": "other", **body})
        assert (verb, said.status, said.body["error"].get("fenced")) == (verb, 409, True)


def test_a_single_result_that_is_not_taken_is_a_conflict_and_is_written_down(api: Api) -> None:
    workflow = api.plan(*CHAIN)["workflow_id"]
    node = api.node(workflow)["node_id"]
    job = api("POST", f"/x/nodes/{node}/claim", {"epoch": "e", **claim("c")})["jobs"][0]
    stale = {**result(job), "lease": "another"}
    path = f"/x/nodes/{node}/finish"

    single = api.ask("POST", path, {"epoch": "e", "results": [stale]})
    several = api("POST", path, {"epoch": "e", "results": [stale, result(job)]})
    different = api.ask("POST", path, {"epoch": "e", "results": [result(job, status="failed", code=9)]})

    assert (single.status, single.body["error"]["answer"]) == (409, "stale")
    assert [one["answer"] for one in several["results"]] == ["stale", "ok"]
    assert (different.status, different.body["error"]["answer"]) == (409, "different")
    told = api.store.find(AuditEntry, Query()).items
    assert [one.operation for one in told if one.object == f"job {job['id']}"] == [
        "late_result",
        "late_result",
        "duplicate_completion",
    ]


def test_a_job_comes_with_all_that_a_runner_needs(api: Api) -> None:
    plan = api.plan(
        {"name": "a", "command": "true", "resource_requirements": "r", "output_files": ["f"], "failure_handler": "h"},
        resource_requirements=[{"name": "r", "num_cpus": 2, "memory": "1g", "runtime": "PT1M"}],
        files=[{"name": "f", "path": "/d/f"}], failure_handlers=[{"name": "h", "rules": [{"exit_codes": [3]}]}],
    )  # fmt: skip
    node = api.node(plan["workflow_id"])["node_id"]

    (job,) = api("POST", f"/x/nodes/{node}/claim", {"epoch": "e", **claim("c", start=True)})["jobs"]

    assert (job["requirements"]["num_cpus"], job["requirements"]["memory_bytes"]) == (2, 1024**3)
    assert (job["output_files"][0]["path"], job["handler_rules"][0]["exit_codes"]) == ("/d/f", [3])
    assert (job["started"], job["status"], job["lease"]) == (True, "running", "c")
    assert job["output_file_ids"] == [plan["ids"]["files"]["f"]]


def test_a_retry_says_which_attempt_and_when(api: Api) -> None:
    plan = api.plan(
        {"name": "a", "command": "x", "failure_handler": "h"},
        failure_handlers=[{"name": "h", "rules": [{"exit_codes": [3], "delay_seconds": 60}]}],
    )
    node = api.node(plan["workflow_id"])["node_id"]
    (job,) = api("POST", f"/x/nodes/{node}/claim", {"epoch": "e", **claim("c")})["jobs"]

    body = {"epoch": "e", "results": [result(job, status="failed", code=3)]}
    told = api("POST", f"/x/nodes/{node}/finish", body)

    assert told["results"][0]["retry"] == {"attempt_id": 2, "after_s": 60.0}
    assert told["progress"]["left"] == 1


def test_what_people_say_of_a_node(api: Api) -> None:
    workflow = api.plan(*CHAIN)["workflow_id"]
    node = api.node(workflow)["node_id"]
    api("POST", f"/x/nodes/{node}/claim", {"epoch": "e", **claim("c", limit=1)})

    drained = api("POST", f"/x/nodes/{node}/drain", {"drain": True, "reason": "hot"})
    dead = api("POST", f"/x/nodes/{node}/dead", {"evidence": "stopped", "detail": "power cut"})
    wrong = api.ask("POST", f"/x/nodes/{node}/dead", {"evidence": "a feeling", "detail": ""})

    assert (drained["drain"], dead["moved"]) == (True, {"failed": 1, "canceled": 1})
    assert (wrong.status, "stopped" in wrong.body["error"]["message"]) == (422, True)
    assert api("GET", f"/x/workflows/{workflow}/lost")["provisional_results"][0]["reason"] == "node_lost"


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("turn", {"epoch": "e", "claims": {}}, "claims"),
        ("turn", {"epoch": "e", "claim": {**claim("c"), "cpus": 1}}, "claim.cpus"),
        ("beat", {"epoch": "e", "held": [[1, 2]], "running": []}, "held"),
        ("claim", {"epoch": "e", "limit": 1, "free": FREE}, "claim_id"),
    ],
)
def test_bodies_are_strict(api: Api, verb: str, body: Any, field: str) -> None:
    node = api.node(api.plan(*CHAIN)["workflow_id"])["node_id"]

    said = api.ask("POST", f"/x/nodes/{node}/{verb}", body)

    assert (said.status, said.body["error"]["field"]) == (422, field)


def test_a_claim_that_got_nothing_gets_nothing_when_it_comes_again(api: Api) -> None:
    node = api.node(api.plan(*CHAIN)["workflow_id"])["node_id"]

    def turn(**parts: Any) -> Any:
        return api("POST", f"/x/nodes/{node}/turn", {"epoch": "e", **parts})

    def names(answer: Any) -> list[str]:
        return [one["name"] for one in answer["claim"]["jobs"]]

    jobs = {one["name"]: one for one in turn(claim=claim("c1"))["claim"]["jobs"]}
    assert names(turn(claim=claim("c2"))) == []
    turn(results=[result(jobs["a"])])

    # The second copy of a request that a network has doubled: its answer reaches nobody.
    assert names(turn(claim=claim("c2"))) == []
    assert names(turn(claim=claim("c3"))) == ["b"]


def test_a_claim_that_waits_and_its_second_copy_are_told_the_same(api: Api) -> None:
    node = api.node(api.plan(*CHAIN)["workflow_id"])["node_id"]

    def claimed(claim_id: str, **more: Any) -> list[str]:
        told = api("POST", f"/x/nodes/{node}/claim", {"epoch": "e", **claim(claim_id), **more})
        return [one["name"] for one in told["jobs"]]

    assert claimed("c1") == ["a", "c"]
    with ThreadPoolExecutor(4) as pool:
        begin = time.monotonic()
        told = [pool.submit(claimed, "c2", wait_ms=20_000) for _ in range(4)]
        assert [one.result() for one in told] == [[]] * 4
    assert time.monotonic() - begin < 18


def test_a_claim_that_waits_in_a_workflow_that_goes_is_answered_and_lets_down_no_other(api: Api) -> None:
    gone, stays = api.plan(*CHAIN)["workflow_id"], api.plan(*CHAIN)["workflow_id"]
    nodes = {
        epoch: api.node(workflow, epoch)["node_id"]
        for epoch, workflow in (("e", gone), ("f", stays), ("g", stays))
    }

    def claimed(epoch: str, claim_id: str, **more: Any) -> Said:
        body = {"epoch": epoch, **claim(claim_id), **more}
        return api.ask("POST", f"/x/nodes/{nodes[epoch]}/claim", body)

    first, *_ = claimed("f", "c1").body["jobs"]
    claimed("e", "c2")
    with ThreadPoolExecutor(2) as pool:
        begin = time.monotonic()
        in_gone, in_stays = (
            pool.submit(claimed, epoch, claim_id, wait_ms=20_000)
            for epoch, claim_id in (("e", "c3"), ("g", "c4"))
        )
        until(lambda: "torc_held_claims 2" in api("GET", "/metrics"))
        api("DELETE", f"/workflows/{gone}?force=true")
        told = in_gone.result()
        api("POST", f"/x/nodes/{nodes['f']}/finish", {"epoch": "f", "results": [result(first)]})
        found = in_stays.result()

    assert told.status == 404
    assert [one["name"] for one in found.body["jobs"]] == ["b"]
    assert time.monotonic() - begin < 18
