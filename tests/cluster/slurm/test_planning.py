"""A real cluster describes itself, and workflows get what they need of it stage by stage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
from account import QUICK
from namespaces import until

from torc_core.model import ActionRun, Allocation, Query, WorkflowId
from torc_terminal import schemas

if TYPE_CHECKING:
    from pathlib import Path

    from account import Account

NEEDS = [
    {"name": "small", "num_cpus": 1, "memory": "100m", "runtime": "PT1M"},
    {"name": "whole", "num_cpus": 4, "memory": "500m", "runtime": "PT1M"},
]


def spec(account: Account, name: str, jobs: list[dict[str, Any]], **more: Any) -> Path:
    """Write a specification without any scheduler."""
    path = account.root / f"{name}.json"
    path.write_text(
        json.dumps(
            {"name": name, "jobs": jobs, "resource_requirements": NEEDS, "execution_config": QUICK, **more}
        )
    )
    return path


def stages(account: Account, width: int) -> list[dict[str, Any]]:
    """A job, so many that need a node each, and one that waits for all of them."""
    return [
        account.job("prep", 1, resource_requirements="small"),
        *(
            account.job(f"work_{k}", 1, resource_requirements="whole", depends_on=["prep"])
            for k in range(width)
        ),
        account.job("post", 1, resource_requirements="small", depends_on_regexes=["^work_"]),
    ]


def allocations(account: Account, workflow: WorkflowId) -> list[Allocation]:
    return list(account.store.find(Allocation, Query(workflow=workflow)).items)


def listed(account: Account, workflow: WorkflowId) -> dict[str, Any]:
    """The first allocation of a workflow as the list tells it."""
    told = json.loads(account.torc("-f", "json", "scheduled-compute-nodes", "list", str(workflow)))
    found: dict[str, Any] = told["items"][0]
    return found


def test_the_cluster_describes_itself(account: Account) -> None:
    told = json.loads(account.torc("-f", "json", "hpc", "partitions", "slurm"))
    found = {one["name"]: one for one in told["items"]}
    account.torc("hpc", "generate", "--name", "ours", "--install")
    kept = json.loads(account.torc("-f", "json", "hpc", "partitions", "ours"))

    standard = found["standard"]
    assert (standard["cpus_per_node"], standard["memory_mb"], standard["is_default"]) == (4, 2000, True)
    assert (standard["max_walltime_secs"], found["debug"]["max_nodes"]) == (86_400, 1)
    assert standard["gpus_on_some_nodes"]
    assert [one["name"] for one in kept["items"]] == list(found)


def test_three_stages_get_their_allocations_when_they_are_ready(account: Account) -> None:
    path = spec(account, "stages", stages(account, 4))
    target = account.root / "planned.json"

    plan = json.loads(
        account.torc("-f", "json", "slurm", "generate", str(path), "-a", "physics", "--partition", "standard",
                     "-o", str(target))
    )  # fmt: skip
    submitted = json.loads(
        account.torc("-f", "json", "submit", str(target), "-o", str(account.out), "-p", "5")
    )
    workflow = WorkflowId(submitted["workflow_id"])
    at_start = len(submitted["allocations"])
    until(lambda: account.complete(workflow), 150, "the end of all jobs")

    (scheduler,) = plan["schedulers"]
    assert plan["proof"]["simulated"]
    assert (at_start, [one["allocations"] for one in scheduler["waves"]]) == (1, [1, 4, 1])
    rows = allocations(account, workflow)
    assert len(rows) == plan["total_allocations"]
    results = account.results(workflow)
    assert [one.return_code for one in results] == [0] * 6, [
        account.log(int(one.scheduler_id or 0)) for one in rows
    ]
    until(
        lambda: not account.store.totals([workflow])[0].active_allocations, 120, "the end of all allocations"
    )
    assert account.verdict() == []


def test_small_jobs_and_a_wide_one_share_an_allocation_that_submit_plans(account: Account) -> None:
    needs = [*NEEDS, {"name": "wide", "num_cpus": 4, "memory": "500m", "num_nodes": 2, "runtime": "PT1M"}]
    jobs = [account.job("wide", 1, resource_requirements="wide")]
    jobs += [account.job(f"small_{k}", resource_requirements="small") for k in range(4)]
    path = spec(account, "mixed", jobs, resource_requirements=needs)

    submitted = json.loads(
        account.torc("-f", "json", "submit", str(path), "--generate", "-a", "physics", "--partition", "standard",
                     "--walltime", "6m", "-o", str(account.out), "-p", "5")
    )  # fmt: skip
    workflow = WorkflowId(submitted["workflow_id"])
    until(lambda: account.complete(workflow), 150, "the end of all jobs")

    (row,) = allocations(account, workflow)
    assert row.nodes == 2
    assert [one.return_code for one in account.results(workflow)] == [0] * 5, account.log(
        int(row.scheduler_id or 0)
    )
    until(
        lambda: not account.store.totals([workflow])[0].active_allocations, 120, "the end of the allocation"
    )
    assert account.verdict() == []


def test_what_is_left_is_planned_anew_and_submitted(account: Account) -> None:
    """The only allocation is called off in the queue, and nothing else will be asked for: the jobs get others, in waves."""
    old = {
        "name": "old", "account": "physics", "walltime": "00:05:00", "mem": "500M", "extra": "--begin=now+1hour",
        "auto_top_up": False,
    }  # fmt: skip
    asked = {
        "action_type": "schedule_nodes",
        "scheduler": "old",
        "scheduler_type": "slurm",
        "num_allocations": 1,
    }
    path = spec(
        account, "again", [{**job, "scheduler": "old"} for job in stages(account, 3)], slurm_schedulers=[old],
        actions=[
            {**asked, "trigger_type": "on_workflow_start"}, {**asked, "trigger_type": "on_jobs_ready", "jobs": ["post"]},
        ],
    )  # fmt: skip
    first = json.loads(account.torc("-f", "json", "submit", str(path), "-o", str(account.out), "-p", "5"))
    workflow, (lost,) = WorkflowId(first["workflow_id"]), first["allocations"]
    until(lambda: listed(account, workflow)["reason"] == "BeginTime", 60, "Slurm's reason in the list")
    waits = listed(account, workflow)
    why = json.loads(account.torc("-f", "json", "explain", str(workflow)))["reasons"]
    account.cluster.run("scancel", lost["slurm_job_id"])
    account.torc("workflows", "sync-status", str(workflow))

    words = ("slurm", "regenerate", str(workflow), "-a", "physics", "--partition", "standard")
    dry = json.loads(account.torc("-f", "json", *words, "--dry-run"))
    before = len(allocations(account, workflow))
    told = json.loads(account.torc("-f", "json", *words, "--submit", "-o", str(account.out), "-p", "5"))
    until(lambda: account.complete(workflow), 150, "the end of all jobs")

    jsonschema.validate(told, schemas.load("torc.slurm.regenerate/1"))
    (scheduler,) = told["schedulers_created"]
    rows = allocations(account, workflow)
    mine = [one for one in rows if one.scheduler_config_id == scheduler["id"]]
    assert waits["estimated_start"]
    assert any("its earliest begin has not come" in one["text"] for one in why), why
    assert (before, dry["schedulers_created"][0]["id"]) == (1, None)
    assert (told["pending_jobs"], told["submitted"], told["allocations_submitted"]) == (5, True, 1)
    assert told["total_allocations"] == told["allocations_deferred"] + 1 > 1
    # The action of before asks for nothing any more; what the plan has is asked for, wave by wave.
    assert len(rows) == 1 + len(mine)
    assert 1 < len(mine) <= told["total_allocations"]
    assert [job.status.label for job in account.jobs(workflow)] == ["completed"] * 5, [
        account.log(int(one.scheduler_id or 0)) for one in rows
    ]
    until(
        lambda: not account.store.totals([workflow])[0].active_allocations, 120, "the end of all allocations"
    )
    assert account.verdict() == []


def test_each_runner_asks_for_the_next_allocation(account: Account) -> None:
    """A chain: the action of a runner's begin is carried out by each of them once, while there is work."""
    one = {
        "name": "one",
        "account": "physics",
        "walltime": "00:10:00",
        "mem": "500M",
        "extra": "--cpus-per-task=2",
    }
    asked = {
        "action_type": "schedule_nodes",
        "scheduler": "one",
        "scheduler_type": "slurm",
        "num_allocations": 1,
    }
    job = account.job("long", 12, resource_requirements="small", scheduler="one")
    path = spec(
        account, "chain", [job], slurm_schedulers=[one],
        actions=[{**asked, "trigger_type": "on_workflow_start"}, {**asked, "trigger_type": "on_worker_start"}],
    )  # fmt: skip

    told = json.loads(account.torc("-f", "json", "submit", str(path), "-o", str(account.out), "-p", "5"))
    workflow = WorkflowId(told["workflow_id"])
    until(lambda: account.complete(workflow), 120, "the end of the job")
    until(lambda: not account.cluster.run("squeue", "-h", "-o", "%i"), 90, "an empty queue")

    rows = allocations(account, workflow)
    runs = account.store.find(ActionRun, Query(workflow=workflow)).items
    by_runners = [one.node_id for one in runs if one.node_id]
    assert told["submitted"] == 1
    assert len(by_runners) >= 2, [account.log(int(one.scheduler_id or 0)) for one in rows]
    assert len(set(by_runners)) == len(by_runners)
    assert len(rows) == 1 + len(by_runners)
    assert {one.status.value for one in rows} <= {"complete", "canceled"}
    assert account.verdict() == []
