"""Changes and removes records over a line that breaks after each change: `python resending.py URL`.

The client sends PUTs and DELETEs again by itself; every call has to succeed.
"""

import json
import sys

from torc import openapi_client as client
from torc.api import make_api

START = "2026-05-01T14:03:22.120Z"


def main(url, broken):
    """Prepare over a good line, then call over the broken one."""
    api, bad = make_api(url), make_api(broken)
    id = api.create_workflow(client.WorkflowModel(name="w", user="ann")).id
    jobs = [api.create_job(client.JobModel(workflow_id=id, name=name, command="true")).id for name in "ab"]
    file = api.create_file(client.FileModel(workflow_id=id, name="f", path="f"))
    api.initialize_jobs(id)
    node = api.create_compute_node(
        client.ComputeNodeModel(
            workflow_id=id, hostname="n", pid=1, start_time=START, num_cpus=4, memory_gb=8.0, num_gpus=0, num_nodes=1,
            compute_node_type="local",
        )
    ).id  # fmt: skip
    api.claim_next_jobs(id, limit=1)
    file.path = "g"
    told = {
        "updated": bad.update_file(file.id, file).path,
        "started": bad.start_job(jobs[0], 1, node).status,
        "moved": bad.manage_status_change(jobs[1], "running", 1).status,
        "deleted": bad.delete_file(file.id).id == file.id,
        "removed": bad.delete_events(id) is not None,
        "canceled": bad.cancel_workflow(id) is not None,
        "gone": bad.delete_workflow(id).id == id,
    }
    starts = list(api.list_workflows().items)
    print(json.dumps({**told, "left": len(starts)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
