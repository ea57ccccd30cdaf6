"""Reads every record that can be changed, sends it back as it came, and reads it again: `python roundtrip.py URL`.

Prints a line of JSON for each kind of record, with what it was before and after.
"""

import json
import sys

from torc import openapi_client as client
from torc.api import make_api

MODERN = hasattr(client, "SpawnJobsRequest")
START = "2026-05-01T14:03:22.120Z"


def json_field(value):
    """Objects for newer clients, text for older ones."""
    return value if MODERN else json.dumps(value)


def made(api):
    """Records with all fields set and with none but the required ones, each with its operations."""
    full = {"env": {"A": "1"}, "submission_directory": "/data"} if MODERN else {}
    settings = {
        "description": "d", "project": "p", "metadata": {"a": 1}, "slurm_defaults": {"account": "acc"},
        "execution_config": {"mode": "direct", "limit_resources": False},
        "resource_monitor_config": {"enabled": True, "sample_interval_seconds": 5},
    }  # fmt: skip
    if MODERN:
        settings["execution_config"] = client.ExecutionConfig(**settings["execution_config"])
        settings["resource_monitor_config"] = client.ResourceMonitorConfig(
            **settings["resource_monitor_config"]
        )
    else:
        settings = {
            name: json.dumps(value) if isinstance(value, dict) else value for name, value in settings.items()
        }
        settings["slurm_config"] = "{}"
    numbers = {
        "compute_node_expiration_buffer_seconds": 90, "compute_node_ignore_workflow_completion": True,
        "compute_node_min_time_for_new_jobs_seconds": 10, "compute_node_wait_for_healthy_database_minutes": 3,
        "compute_node_wait_for_new_jobs_seconds": 7, "use_pending_failed": True, "enable_ro_crate": True,
    }  # fmt: skip
    for fields in ({}, {**settings, **full, **numbers}):
        workflow = api.create_workflow(client.WorkflowModel(name="w", user="ann", **fields))
        yield "workflow", workflow, api.get_workflow, api.update_workflow
    id = workflow.id

    file = api.create_file(client.FileModel(workflow_id=id, name="f", path="f"))
    yield "file", file, api.get_file, api.update_file
    yield (
        "file",
        api.create_file(client.FileModel(workflow_id=id, name="g", path="g", st_mtime=3.25)),
        api.get_file,
        api.update_file,
    )
    data = api.create_user_data(client.UserDataModel(workflow_id=id, name="u"))
    yield "user_data", data, api.get_user_data, api.update_user_data
    more = client.UserDataModel(workflow_id=id, name="v", data={"a": [1, 2.5, None, "x"]}, is_ephemeral=True)
    yield "user_data", api.create_user_data(more), api.get_user_data, api.update_user_data
    need = api.create_resource_requirements(client.ResourceRequirementsModel(workflow_id=id, name="r"))
    yield "requirement", need, api.get_resource_requirements, api.update_resource_requirements
    need = api.create_resource_requirements(
        client.ResourceRequirementsModel(
            workflow_id=id, name="s", num_cpus=2, num_gpus=1, num_nodes=2, memory="2g", runtime="PT1H"
        )
    )
    yield "requirement", need, api.get_resource_requirements, api.update_resource_requirements
    local = api.create_local_scheduler(client.LocalSchedulerModel(workflow_id=id))
    yield "local_scheduler", local, api.get_local_scheduler, api.update_local_scheduler
    local = api.create_local_scheduler(
        client.LocalSchedulerModel(workflow_id=id, name="l", memory="1g", num_cpus=3)
    )
    yield "local_scheduler", local, api.get_local_scheduler, api.update_local_scheduler
    slurm = api.create_slurm_scheduler(
        client.SlurmSchedulerModel(workflow_id=id, account="acc", nodes=1, walltime="01:00:00")
    )
    yield "slurm_scheduler", slurm, api.get_slurm_scheduler, api.update_slurm_scheduler
    slurm = api.create_slurm_scheduler(
        client.SlurmSchedulerModel(
            workflow_id=id, name="s", account="acc", nodes=2, walltime="1-00:00:00", partition="p", qos="q", gres="gpu:2",
            mem="10G", tmp="1G", ntasks_per_node=2, extra="--exclusive",
        )
    )  # fmt: skip
    yield "slurm_scheduler", slurm, api.get_slurm_scheduler, api.update_slurm_scheduler
    rules = json.dumps([{"exit_codes": [1]}])
    handler = api.create_failure_handler(client.FailureHandlerModel(workflow_id=id, name="h", rules=rules))
    first = api.create_job(client.JobModel(workflow_id=id, name="a", command="true"))
    yield "job", first, api.get_job, api.update_job
    fields = {"env": {"B": "2"}} if MODERN else {}
    job = api.create_job(
        client.JobModel(
            workflow_id=id, name="b", command="true", invocation_script="bash", priority=3,
            cancel_on_blocking_job_failure=False, supports_termination=True, resource_requirements_id=need.id,
            scheduler_id=slurm.id, failure_handler_id=handler.id, depends_on_job_ids=[first.id], input_file_ids=[file.id],
            input_user_data_ids=[data.id],
            schedule_compute_nodes=client.ComputeNodeSchedule(scheduler_id=slurm.id, num_jobs=2), **fields,
        )
    )  # fmt: skip
    yield "job", job, api.get_job, api.update_job
    node = {"workflow_id": id, "hostname": "n1", "pid": 1, "start_time": START, "num_cpus": 4, "memory_gb": 8.5, "num_gpus": 1, "num_nodes": 1,
                "compute_node_type": "local"}  # fmt: skip
    yield (
        "node",
        api.create_compute_node(client.ComputeNodeModel(**node)),
        api.get_compute_node,
        api.update_compute_node,
    )
    use = {"avg_cpu_percent": 50.5, "peak_memory_bytes": 1000, "sample_count": 3} if MODERN else {}
    made_node = api.create_compute_node(
        client.ComputeNodeModel(
            **{**node, "pid": 2},
            **use,
            is_active=True,
            time_limit="PT4H",
            scheduler={"type": "local", "x": 1},
        )
    )
    yield "node", made_node, api.get_compute_node, api.update_compute_node
    allocation = api.create_scheduled_compute_node(
        client.ScheduledComputeNodesModel(
            workflow_id=id,
            scheduler_id=12,
            scheduler_config_id=slurm.id,
            scheduler_type="slurm",
            status="pending",
        )
    )
    yield "allocation", allocation, api.get_scheduled_compute_node, api.update_scheduled_compute_node
    result = api.create_result(
        client.ResultModel(
            job_id=first.id, workflow_id=id, run_id=1, attempt_id=1, compute_node_id=made_node.id, return_code=3,
            exec_time_minutes=0.25, completion_time=START, status="failed", peak_memory_bytes=5, avg_memory_bytes=4,
            peak_cpu_percent=90.5, avg_cpu_percent=50.5,
        )
    )  # fmt: skip
    yield "result", result, api.get_result, api.update_result
    entity = api.create_ro_crate_entity(
        client.RoCrateEntityModel(
            workflow_id=id,
            entity_id="e",
            entity_type="File",
            file_id=file.id,
            metadata=json_field({"@id": "e", "n": [1]}),
        )
    )
    yield "ro_crate_entity", entity, api.get_ro_crate_entity, api.update_ro_crate_entity


def main(url):
    """Send everything back as it came."""
    api = make_api(url)
    for kind, model, get, update in made(api):
        before = get(model.id)
        update(model.id, before)
        after = get(model.id)
        update(model.id, type(model).from_dict({**before.to_dict()}))
        again = get(model.id)
        line = {
            "kind": kind,
            "created": model.to_dict(),
            "before": before.to_dict(),
            "after": after.to_dict(),
        }
        print(json.dumps({**line, "again": again.to_dict()}, default=str), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
