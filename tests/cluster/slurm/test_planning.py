"""A real cluster describes itself, and workflows get what they need of it stage by stage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from account import QUICK
from namespaces import until

from torc_core.model import Allocation, Query, WorkflowId

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
