"""Jobs on the nodes of real allocations: placed on all of them, with devices and limits of their own, ended with them."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from account import QUICK

from torc_core.model import Query, SlurmStats

if TYPE_CHECKING:
    from account import Account

SMALL = {"name": "small", "num_cpus": 1, "memory": "60m", "runtime": "PT10S"}
WHOLE = {"name": "whole", "num_cpus": 4, "num_nodes": 2, "memory": "60m", "runtime": "PT10S"}
GPU = {"name": "gpu", "num_cpus": 1, "num_gpus": 1, "memory": "60m", "runtime": "PT10S"}
HOG = "exec python3 -c 'import time; kept = bytearray(300 << 20); time.sleep(60)'"
WORKS = (
    "exec python3 -c 'import time; kept = bytearray(120 << 20); end = time.monotonic() + 8\n"
    "while time.monotonic() < end: sum(range(1000))'"
)
LARGE = {"name": "large", "num_cpus": 1, "memory": "300m", "runtime": "PT10S"}
THREE = ("-N3", "--ntasks-per-node=1", "--cpus-per-task=4", "--mem=1000", "--time=30")


def places(account: Account, workflow: int) -> Counter[str]:
    """How many jobs of a workflow each node has started."""
    lines = map(json.loads, account.ledger.read_text().splitlines())
    return Counter(one["host"] for one in lines if one["what"] == "start" and one["workflow"] == workflow)


@pytest.mark.parametrize("mode", ["direct", "slurm"])
def test_small_jobs_share_all_nodes_with_jobs_that_need_whole_ones(account: Account, mode: str) -> None:
    config = QUICK if mode == "direct" else {"mode": "slurm", "sigkill_headroom_seconds": 10}
    small = [account.job(f"s{at}", 2, resource_requirements="small") for at in range(12)]
    names = "echo $(hostname) $SLURM_JOB_NODELIST"
    whole = [{"name": f"w{at}", "command": names, "resource_requirements": "whole"} for at in range(2)]
    fails = {"name": "fails", "command": "echo out; echo bad >&2; exit 3", "resource_requirements": "small"}
    killed = {"name": "killed", "command": "kill -SEGV $$", "resource_requirements": "small"}
    hog = {"name": "hog", "command": HOG, "resource_requirements": "small"}
    many: list[dict[str, Any]] = [*small, *whole, fails, killed, hog]
    workflow = account.workflow(
        f"packed-{mode}", many, resource_requirements=[SMALL, WHOLE], execution_config=config
    )

    number = account.submit(workflow, *THREE, "--nodelist=n1,n2,n5")

    account.cluster.await_state(number)
    results = {one.job_name: one for one in account.results(workflow)}
    assert [results[f"s{at}"].return_code for at in range(12)] == [0] * 12, account.log(number)
    assert sorted(places(account, workflow)) == ["n1", "n2", "n5"]
    for at in range(2):
        out = next(account.out.glob(f"job_stdio/job_wf{workflow}_j{results[f'w{at}'].job_id}_*.o"))
        host, nodes = out.read_text().split()
        assert nodes.split(",")[0] == host
        assert len(nodes.split(",")) == 2
    assert (results["fails"].return_code, results["fails"].reason) == (3, "exit_code")
    base = account.out / f"job_stdio/job_wf{workflow}_j{results['fails'].job_id}_r1_a1"
    assert (base.with_suffix(".o").read_text(), base.with_suffix(".e").read_text()) == ("out\n", "bad\n")
    assert results["killed"].reason == "signal:SEGV"
    assert results["hog"].return_code == 137
    assert str(results["hog"].reason).startswith("oom")
    if mode == "slurm":
        stats = account.store.find(SlurmStats, Query(workflow=workflow)).items
        assert {one.slurm_job_id for one in stats} == {str(number)}
        assert len(stats) > len(many) // 2
    assert account.verdict() == []


def test_what_a_step_uses_is_seen_while_it_runs(account: Account) -> None:
    """By sstat: its result tells it at once; the accounting comes later."""
    config = {"mode": "slurm", "sigkill_headroom_seconds": 10}
    works = {"name": "works", "command": WORKS, "resource_requirements": "large"}
    workflow = account.workflow("sampled", [works], resource_requirements=[LARGE], execution_config=config)

    sampled = "--export=ALL,TORC_LAUNCHERS__SLURM__SAMPLE_SECONDS=1"
    number = account.submit(workflow, "-N1", "--cpus-per-task=1", "--mem=500", "--time=30", sampled)

    account.cluster.await_state(number)
    (result,) = account.results(workflow)
    (stats,) = account.store.find(SlurmStats, Query(workflow=workflow)).items
    assert result.return_code == 0, account.log(number)
    assert (result.usage.peak_memory_bytes or 0) > 100 << 20, account.log(number)
    assert (result.usage.avg_cpu_percent or 0) > 1
    assert (stats.max_rss_bytes or 0) > 100 << 20
    assert (stats.ave_cpu_seconds or 0) > 0


def test_jobs_of_one_device_each_never_share_one(account: Account) -> None:
    jobs = [account.job(f"g{at}", 1, resource_requirements="gpu") for at in range(8)]
    workflow = account.workflow("devices", jobs, resource_requirements=[GPU], execution_config=QUICK)

    size = ("-N2", "--ntasks-per-node=1", "--cpus-per-task=4", "--mem=1000", "--gres=gpu:2", "--time=30")
    number = account.submit(workflow, *size)

    account.cluster.await_state(number)
    assert [one.return_code for one in account.results(workflow)] == [0] * 8, account.log(number)
    assert sorted(places(account, workflow)) == ["n3", "n7"]
    assert account.verdict() == []
