"""Runs jobs of a workflow as one of several loops: `python sharing.py URL WORKFLOW`.

Prints the jobs that it has run, and in the end what it sees of all.
"""

import json
import os
import sys

from torc import openapi_client as client
from torc.api import make_api


def main(url, workflow):
    """Claim, start and complete until nothing is left."""
    api, id = make_api(url), int(workflow)
    node = api.create_compute_node(
        client.ComputeNodeModel(
            workflow_id=id, hostname="here", pid=os.getpid(), start_time="2026-05-01T14:03:22Z", num_cpus=4, memory_gb=8.0,
            num_gpus=0, num_nodes=1, compute_node_type="local",
        )
    ).id  # fmt: skip
    ran = []
    while not api.is_workflow_complete(id).is_complete:
        offer = client.ComputeNodesResources(num_cpus=2, memory_gb=8.0, num_gpus=0, num_nodes=1)
        jobs = api.claim_jobs_based_on_resources(id, 2, offer).jobs
        for job in jobs:
            api.start_job(job.id, 1, node)
            failed = job.name.endswith("7")
            result = client.ResultModel(
                job_id=job.id, workflow_id=id, run_id=1, attempt_id=1, compute_node_id=node, return_code=int(failed),
                exec_time_minutes=0.1, completion_time="2026-05-01T14:03:22Z", status="failed" if failed else "completed",
            )  # fmt: skip
            api.complete_job(job.id, result.status, 1, result)
            ran.append(job.id)
    seen = {job.name: job.status for job in api.list_jobs(id).items}
    results = {
        one.job_id: [one.status, one.return_code, one.compute_node_id] for one in api.list_results(id).items
    }
    print(json.dumps({"ran": ran, "seen": seen, "results": results}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
