"""Many jobs over several allocations of several nodes: each is run once, and on every node."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from namespaces import until

if TYPE_CHECKING:
    from account import Account

JOBS = int(os.environ.get("TORC_TEST_CLUSTER_JOBS", "100"))
SMALL = {"name": "small", "num_cpus": 1, "memory": "50m", "runtime": "PT1M"}


def test_short_jobs_over_four_allocations_of_two_nodes_are_run_once(account: Account) -> None:
    jobs = [account.job(f"j{at}", resource_requirements="small") for at in range(JOBS)]
    workflow = account.workflow("many", jobs, resource_requirements=[SMALL])

    size = ("-N2", "--ntasks-per-node=1", "--cpus-per-task=4", "--mem=1000", "--time=30")
    batches = [account.submit(workflow, *size, each=at % 2 == 1) for at in range(4)]
    until(lambda: account.complete(workflow), 60 + JOBS, "the end of all jobs")
    for one in batches:
        account.cluster.await_state(one)

    results = account.results(workflow)
    hosts = {line.split()[0] for line in account.ledger.read_text().splitlines()}
    assert [one.return_code for one in results] == [0] * JOBS, [account.log(one) for one in batches]
    assert account.verdict() == [], hosts
