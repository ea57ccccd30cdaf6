"""The convenience functions of the official client at work: `python helping.py URL JOBS`."""

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from torc import openapi_client as client
from torc.api import create_jobs, iter_documents, make_api, map_function_to_jobs

START = "2026-05-01T14:03:22.120Z"


def told(**facts):
    """Print what was seen."""
    print(json.dumps(facts), flush=True)


def many(api, count):
    """Create very many jobs, and count them by every way of paging."""
    id = api.create_workflow(client.WorkflowModel(name="many", user="ann")).id
    begin = time.monotonic()
    jobs = create_jobs(
        api, (client.JobModel(workflow_id=id, name=f"j{n}", command="true") for n in range(count))
    )
    seconds = time.monotonic() - begin
    ids = [job.id for job in jobs]
    told(
        what="created",
        count=len(jobs),
        ordered=ids == sorted(ids),
        names=[jobs[0].name, jobs[-1].name],
        seconds=seconds,
    )
    begin = time.monotonic()
    walked = [job.id for job in iter_documents(api.list_jobs, id)]
    told(what="walked", equal=walked == ids, seconds=time.monotonic() - begin)
    limited = list(itertools.islice(iter_documents(api.list_jobs, id, limit=10), 10))
    told(what="limited", count=len(limited))
    told(
        what="empty",
        count=len(
            list(
                iter_documents(
                    api.list_jobs, api.create_workflow(client.WorkflowModel(name="e", user="a")).id
                )
            )
        ),
    )
    told(what="ids", count=api.list_job_ids(id).count)


def run_all(api, url, id, folder, name="runner"):
    """Run a workflow as a loop over the client's own calls would: claim, start, run, complete."""
    node = api.create_compute_node(
        client.ComputeNodeModel(
            workflow_id=id, hostname="here", pid=os.getpid(), start_time=START, num_cpus=4, memory_gb=8.0, num_gpus=0,
            num_nodes=1, compute_node_type="local",
        )
    ).id  # fmt: skip
    ran = []
    while not api.is_workflow_complete(id).is_complete:
        jobs = api.claim_next_jobs(id, limit=5).jobs
        if not jobs:
            break
        for job in jobs:
            api.start_job(job.id, 0, node)
            environ = {**os.environ, **(getattr(job, "env", None) or {}), "TORC_API_URL": url, "TORC_WORKFLOW_ID": str(id),
                       "TORC_JOB_ID": str(job.id), "TORC_JOB_NAME": job.name}  # fmt: skip
            environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
            done = subprocess.run(
                job.command, shell=True, env=environ, cwd=folder, capture_output=True, text=True, check=False
            )
            if done.returncode:
                told(what="failed", job=job.name, out=done.stdout[-500:], err=done.stderr[-1500:])
            status = "failed" if done.returncode else "completed"
            result = client.ResultModel(
                job_id=job.id, workflow_id=id, run_id=0, attempt_id=1, compute_node_id=node, return_code=done.returncode,
                exec_time_minutes=0.01, completion_time=START, status=status,
            )  # fmt: skip
            api.complete_job(job.id, status, 0, result)
            ran.append(job.name)
    return ran


FUNCTIONS = """
def run(job_name, params):
    return {"doubled": 2 * params["val"]}


def postprocess(results):
    return {"total": sum(one["doubled"] for one in results)}
"""


def functions(api, url, folder):
    """Map a function over parameters and run all of it."""
    module = Path(folder) / "mine.py"
    module.write_text(FUNCTIONS)
    sys.path.insert(0, folder)
    id = api.create_workflow(client.WorkflowModel(name="functions", user="ann")).id
    map_function_to_jobs(
        api,
        id,
        "mine",
        "run",
        [{"val": n} for n in range(3)],
        postprocess_func="postprocess",
        module_directory=folder,
    )
    api.initialize_jobs(id)
    ran = run_all(api, url, id, folder)
    status = {job.name: job.status for job in api.list_jobs(id).items}
    results = {one.name: one.data for one in api.list_user_data(id).items}
    told(what="functions", ran=ran, status=status, results=results)


ORCHESTRATOR = """
from torc import Orchestrator, SpawnJobModel

orch = Orchestrator.from_env(lineage_fallback="line")
if orch.generation >= 3:
    orch.converge(state={"generation": orch.generation})
else:
    generation = orch.generation + 1
    orch.spawn(
        jobs=[
            SpawnJobModel(name=f"work{generation}", command="true"),
            SpawnJobModel(name=f"seed{generation}", command="python seed.py", depends_on=[f"work{generation}"]),
        ],
        state={"generation": generation},
    )
"""


def orchestrate(api, url, folder):
    """A job that adds jobs until it has converged."""
    (Path(folder) / "seed.py").write_text(ORCHESTRATOR)
    id = api.create_workflow(client.WorkflowModel(name="dynamic", user="ann")).id
    api.create_job(client.JobModel(workflow_id=id, name="seed", command="python seed.py"))
    api.initialize_jobs(id)
    ran = run_all(api, url, id, folder)
    data = {one.name: one.data for one in api.list_user_data(id).items}
    told(what="orchestrated", ran=ran, complete=api.is_workflow_complete(id).is_complete, data=data)


def zero(api):
    """Drive a job by hand with the run of the creation answer, through two initialisations."""
    workflow = api.create_workflow(client.WorkflowModel(name="zero", user="ann"))
    id = workflow.id
    job = api.create_job(client.JobModel(workflow_id=id, name="a", command="true")).id
    runs = []
    for _ in range(2):
        api.initialize_jobs(id)
        node = api.create_compute_node(
            client.ComputeNodeModel(
                workflow_id=id, hostname="here", pid=len(runs), start_time=START, num_cpus=4, memory_gb=8.0, num_gpus=0,
                num_nodes=1, compute_node_type="local",
            )
        ).id  # fmt: skip
        api.claim_next_jobs(id)
        api.start_job(job, 0, node)
        failed = client.ResultModel(
            job_id=job, workflow_id=id, run_id=0, attempt_id=1, compute_node_id=node, return_code=1, exec_time_minutes=0.0,
            completion_time=START, status="failed",
        )  # fmt: skip
        api.complete_job(job, "failed", 0, failed)
        api.retry_job(job, 0, 5)
        api.manage_status_change(job, "running", 0)
        failed.attempt_id = None
        api.complete_job(job, "failed", 0, failed)
        runs.append(
            [(one.run_id, one.attempt_id) for one in api.list_results(id, run_id=0, all_runs=True).items]
        )
        api.reset_job_status(id)
    told(what="zero", runs=runs)


def main(url, count, folder):
    """All of it."""
    api = make_api(url)
    many(api, int(count))
    functions(api, url, folder)
    if hasattr(client, "SpawnJobsRequest"):
        orchestrate(api, url, folder)
    zero(api)


if __name__ == "__main__":
    main(*sys.argv[1:])
