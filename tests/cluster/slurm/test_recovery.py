"""Jobs that run out of memory or time on a real cluster, and are given what they lack until they complete."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import jsonschema
from account import BIN, QUICK
from namespaces import until

from torc_core.model import Allocation, Event, Query, Requirement
from torc_terminal import schemas

if TYPE_CHECKING:
    from account import Account

    from torc_core.model import WorkflowId

GREEDY = "exec python3 -c 'import time; held = bytearray(150 << 20); time.sleep(5); print(len(held))'"
SMALL = {"name": "small", "num_cpus": 1, "memory": "60m", "runtime": "PT1M"}
SHORT = {
    "name": "short", "account": "physics", "walltime": "00:10:00", "nodes": 1, "mem": "500M", "partition": "short",
    "extra": "--cpus-per-task=2",
}  # fmt: skip


def greedy(account: Account, name: str, **more: Any) -> WorkflowId:
    """Two jobs that use 150 MiB where they have asked for 60, a third that does not, and one after the first."""
    jobs = [
        {"name": "greedy0", "command": GREEDY, "resource_requirements": "small", "scheduler": "short"},
        {"name": "greedy1", "command": GREEDY, "resource_requirements": "small", "scheduler": "short"},
        {"name": "modest", "command": "true", "resource_requirements": "small", "scheduler": "short"},
        {"name": "after", "command": "true", "resource_requirements": "small", "scheduler": "short", "depends_on": ["greedy0"]},
    ]  # fmt: skip
    return account.workflow(
        name, jobs, resource_requirements=[SMALL], slurm_schedulers=[SHORT], execution_config=QUICK,
        resource_monitor={"enabled": True, "granularity": "summary", "sample_interval_seconds": 1},
        compute_node_min_time_for_new_jobs_seconds=10, **more,
    )  # fmt: skip


def scheduled(account: Account, workflow: WorkflowId) -> list[Allocation]:
    return list(account.store.find(Allocation, Query(workflow=workflow)).items)


def numbered(account: Account, workflow: WorkflowId) -> int:
    """How many allocations there were, each under a number of its own; those that were called off before are not."""
    until(lambda: idle(account, workflow), 120, "the end of all allocations")
    rows = [one for one in scheduled(account, workflow) if one.scheduler_id or one.status.value != "canceled"]
    numbers = [one.scheduler_id for one in rows]
    assert None not in numbers
    assert len(set(numbers)) == len(numbers)
    return len(numbers)


def idle(account: Account, workflow: WorkflowId) -> bool:
    totals = account.store.totals([workflow])[0]
    return totals.complete and not (
        totals.active_nodes or totals.active_allocations or totals.pending_allocations
    )


def memory(account: Account, workflow: WorkflowId) -> dict[str, int]:
    """MiB that each job asks for."""
    known = {one.id: one for one in account.store.find(Requirement, Query(workflow=workflow)).items}
    return {job.name: known[job.requirement_id].memory_bytes >> 20 for job in account.jobs(workflow)}


def test_what_ran_out_of_memory_completes_with_more(account: Account) -> None:
    workflow = greedy(account, "oom")
    account.torc("slurm", "schedule-nodes", str(workflow), "-o", str(account.out), "-p", "5")
    until(lambda: idle(account, workflow), 120, "the first run")
    assert {job.name: job.status.label for job in account.jobs(workflow)} == {
        "greedy0": "failed", "greedy1": "failed", "modest": "completed", "after": "canceled",
    }  # fmt: skip

    told = json.loads(
        account.torc(
            "-f", "json", "recover", str(workflow), "--memory-multiplier", "4", "-o", str(account.out)
        )
    )

    jsonschema.validate(told, schemas.load("torc.recover/1"))
    assert (told["result"]["oom_fixed"], told["result"]["allocations_submitted"]) == (2, 1), told
    until(lambda: account.complete(workflow), 120, "the second run")
    assert {job.status.label for job in account.jobs(workflow)} == {"completed"}, told
    grown = memory(account, workflow)
    assert grown["greedy0"] == grown["greedy1"] > 150
    assert grown["modest"] == grown["after"] == 60
    assert 2 <= numbered(account, workflow) <= 3
    assert [one.attempt_id for one in account.jobs(workflow)] == [1, 1, 1, 1]
    accounts = json.loads(account.torc("-f", "json", "slurm", "sacct", str(workflow), check=False))
    jsonschema.validate(accounts, schemas.load("torc.slurm.sacct/1"))
    usage = json.loads(account.torc("-f", "json", "slurm", "usage", str(workflow)))
    jsonschema.validate(usage, schemas.load("torc.slurm.usage/1"))
    assert (usage["source"], usage["total"]["allocations"] >= 2) == ("sacct", True)
    stats = json.loads(account.torc("-f", "json", "slurm", "stats", str(workflow)))
    jsonschema.validate(stats, schemas.load("torc.slurm.stats/1"))
    assert max(one["max_rss_bytes"] or 0 for one in stats["items"]) > 150 << 20
    logs = json.loads(
        account.torc("-f", "json", "slurm", "parse-logs", str(workflow), "-o", str(account.out))
    )
    jsonschema.validate(logs, schemas.load("torc.slurm.parse-logs/1"))
    assert logs["slurm_jobs_count"] >= 2


def test_watch_schedules_recovers_and_ends_with_the_outcome(account: Account) -> None:
    workflow = greedy(account, "watched")
    words = [
        "-f", "json", "watch", str(workflow), "-r", "--auto-schedule", "-s", "-p", "5", "--memory-multiplier", "2",
        "-o", str(account.out), "--timeout", "5m",
    ]  # fmt: skip

    done = subprocess.run(
        [BIN / "torc", *words], cwd=account.root, env=account.env, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=360, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    jsonschema.validate(told, schemas.load("torc.watch/1"))
    assert told["jobs_by_status"]["completed"] == 4
    assert told["recoveries"] >= 1
    assert (
        "scheduling 1 allocation: 3 jobs are ready, and there is no live or queued allocation" in done.stderr
    )
    assert "OOM detected, increasing memory" in done.stderr
    # One for each run, and those of later waves of a plan, asked for when their first job is ready.
    assert 1 + told["recoveries"] <= numbered(account, workflow) <= 2 * (1 + told["recoveries"]), done.stderr
    decisions = account.store.find(
        Event, Query(workflow=workflow, where={"category": "scheduling_decision"})
    ).items
    assert decisions[0].data["allocations"] == 1
    calls = json.loads(account.torc("-f", "json", "slurm", "rpc"))
    assert calls["count"] > 0
