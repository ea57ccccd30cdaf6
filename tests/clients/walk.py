"""Calls every operation of the official client in whose environment it runs: `python walk.py URL`.

Prints a line of JSON for each call: the operation, the status, the body as it came, and what went wrong. The client's
own models have parsed every answer when its line says `parsed`.
"""

import json
import sys
import traceback

from torc import openapi_client as client
from torc.api import make_api
from torc.openapi_client.exceptions import ApiException

MODERN = hasattr(client, "SpawnJobsRequest")
START = "2026-05-01T14:03:22.120Z"


class Walk:
    def __init__(self, url):
        self.api = make_api(url)
        self.places = [self.api]
        if MODERN:
            self.places.append(client.TasksApi(self.api.api_client))

    def call(self, operation, *args, **named):
        """Call an operation; what its models made of the answer."""
        line = {"operation": operation, "parsed": False}
        try:
            method = None
            for place in self.places:
                try:
                    method = getattr(place, f"{operation}_with_http_info")
                    break
                except AttributeError:
                    continue
            answer = method(*args, **named)
            line |= {
                "status": answer.status_code,
                "raw": answer.raw_data.decode(),
                "parsed": answer.data is not None,
            }
            return answer.data
        except ApiException as error:
            line |= {"status": error.status, "raw": error.body, "error": type(error).__name__}
            raise Stopped from error
        except Exception:
            line["error"] = traceback.format_exc()
            raise Stopped from None
        finally:
            print(json.dumps(line), flush=True)

    def part(self, name):
        """Walk one part; what a missing piece stops is told in the lines above."""
        try:
            getattr(self, name)()
        except Stopped:
            pass
        except Exception:
            print(
                json.dumps({"operation": f"part {name}", "parsed": False, "error": traceback.format_exc()}),
                flush=True,
            )

    def workflow(self, name="walk", **more):
        return self.call("create_workflow", client.WorkflowModel(name=name, user="ann", **more)).id

    def job(self, workflow, name, **more):
        return self.call(
            "create_job", client.JobModel(workflow_id=workflow, name=name, command="true", **more)
        )

    def node(self, workflow, **more):
        fields = {
            "workflow_id": workflow,
            "hostname": "n1",
            "pid": 77,
            "start_time": START,
            "num_cpus": 8,
            "memory_gb": 16.0,
            "num_gpus": 0,
            "num_nodes": 1,
            "compute_node_type": "local",
        }
        return self.call("create_compute_node", client.ComputeNodeModel(**{**fields, **more}))

    def result(self, workflow, job, node, **more):
        fields = {
            "job_id": job,
            "workflow_id": workflow,
            "run_id": 1,
            "attempt_id": 1,
            "compute_node_id": node,
            "return_code": 0,
            "exec_time_minutes": 0.5,
            "completion_time": START,
            "status": "completed",
            "peak_memory_bytes": 1024,
            "avg_cpu_percent": 99.5,
        }
        return client.ResultModel(**{**fields, **more})

    # parts

    def system(self):
        self.call("ping")
        self.call("get_version")

    def workflows(self):
        id = self.workflow("settings", description="d", project="p")
        model = self.call("get_workflow", id)
        model.description = "other"
        self.call("update_workflow", id, model)
        self.call(
            "list_workflows",
            name="settings",
            user="ann",
            description="oth",
            is_archived=False,
            sort_by="name",
        )
        self.call("get_workflow_status", id)
        self.call("is_workflow_complete", id)
        self.call("is_workflow_uninitialized", id)
        if MODERN:
            self.call("get_active_task_for_workflow", id)
            self.call("archive_workflow", id, client.ArchiveWorkflowRequest(is_archived=True))
            self.call("archive_workflow", id, client.ArchiveWorkflowRequest(is_archived=False))
        else:
            status = self.call("get_workflow_status", id)
            self.call("update_workflow_status", id, status)
        self.call("cancel_workflow", id)
        self.call("reset_workflow_status", id, force=True)
        self.call("delete_workflow", id)

    def records(self):
        id = self.workflow()
        file = self.call(
            "create_file", client.FileModel(workflow_id=id, name="f", path="f.csv", st_mtime=1.5)
        )
        self.call("get_file", file.id)
        self.call("update_file", file.id, file)
        self.call("list_files", id, name="f", path="f.csv", is_output=False)
        if MODERN:
            self.call(
                "create_files",
                client.FilesModel(files=[client.FileModel(workflow_id=id, name="g", path="g")]),
            )
        self.call("delete_file", file.id)
        self.call("delete_files", id)
        data = self.call(
            "create_user_data", client.UserDataModel(workflow_id=id, name="u", data={"a": [1, None]})
        )
        self.call("get_user_data", data.id)
        self.call("update_user_data", data.id, data)
        self.call("list_user_data", id, name="u", is_ephemeral=False)
        if MODERN:
            more = [client.UserDataModel(workflow_id=id, name="v", data=1)]
            self.call("create_user_data_list", client.UserDataListModel(user_data=more))
        self.call("delete_user_data", data.id)
        self.call("delete_all_user_data", id)
        need = self.call(
            "create_resource_requirements", client.ResourceRequirementsModel(workflow_id=id, name="big")
        )
        self.call("get_resource_requirements", need.id)
        need.memory = "2g"
        self.call("update_resource_requirements", need.id, need)
        self.call("list_resource_requirements", id, name="big", memory="2g", num_cpus=1, runtime=60)
        self.call("delete_resource_requirement", need.id)
        self.call("delete_resource_requirements", id)
        rules = json.dumps([{"exit_codes": [1, 2], "max_retries": 2}])
        handler = self.call(
            "create_failure_handler", client.FailureHandlerModel(workflow_id=id, name="h", rules=rules)
        )
        self.call("get_failure_handler", handler.id)
        self.call("list_failure_handlers", id)
        self.call("delete_failure_handler", handler.id)

    def schedulers(self):
        id = self.workflow()
        local = self.call(
            "create_local_scheduler", client.LocalSchedulerModel(workflow_id=id, name="l", num_cpus=4)
        )
        self.call("get_local_scheduler", local.id)
        self.call("update_local_scheduler", local.id, local)
        self.call("list_local_schedulers", id, num_cpus=4)
        self.call("delete_local_scheduler", local.id)
        self.call("delete_local_schedulers", id)
        slurm = self.call(
            "create_slurm_scheduler",
            client.SlurmSchedulerModel(workflow_id=id, name="s", account="acc", nodes=2, walltime="04:00:00"),
        )
        self.call("get_slurm_scheduler", slurm.id)
        self.call("update_slurm_scheduler", slurm.id, slurm)
        self.call("list_slurm_schedulers", id)
        allocation = self.call(
            "create_scheduled_compute_node",
            client.ScheduledComputeNodesModel(
                workflow_id=id,
                scheduler_id=4711,
                scheduler_config_id=slurm.id,
                scheduler_type="slurm",
                status="pending",
            ),
        )
        self.call("get_scheduled_compute_node", allocation.id)
        allocation.status = "active"
        self.call("update_scheduled_compute_node", allocation.id, allocation)
        self.call(
            "list_scheduled_compute_nodes",
            id,
            scheduler_id="4711",
            scheduler_config_id=str(slurm.id),
            status="active",
        )
        allocation.status = "complete"
        self.call("update_scheduled_compute_node", allocation.id, allocation)
        self.call("delete_scheduled_compute_node", allocation.id)
        self.call("delete_scheduled_compute_nodes", id)
        self.call("delete_slurm_scheduler", slurm.id)
        self.call("delete_slurm_schedulers", id)

    def remote(self):
        id = self.workflow()
        self.call("create_remote_workers", id, ["ann@n1:22", "n2"])
        self.call("list_remote_workers", id)
        self.call("delete_remote_worker", id, "ann@n1:22")

    def events(self):
        id = self.workflow()
        event = self.call(
            "create_event", client.EventModel(workflow_id=id, timestamp=0, data={"category": "mine", "n": 1})
        )
        self.call("get_event", event.id)
        self.call("update_event", event.id, {"category": "mine", "n": 2})
        self.call("list_events", id, category="mine", after_timestamp=1)
        self.call("delete_event", event.id)
        self.call("delete_events", id)

    def entities(self):
        id = self.workflow()
        metadata = {"@id": "x"} if MODERN else json.dumps({"@id": "x"})
        model = client.RoCrateEntityModel(
            workflow_id=id, entity_id="x", entity_type="File", metadata=metadata
        )
        entity = self.call("create_ro_crate_entity", model)
        self.call("get_ro_crate_entity", entity.id)
        self.call("update_ro_crate_entity", entity.id, entity)
        self.call("list_ro_crate_entities", id)
        self.call("delete_ro_crate_entity", entity.id)
        self.call("delete_ro_crate_entities", id)

    def jobs(self):
        id = self.workflow()
        first = self.job(id, "first")
        file = self.call("create_file", client.FileModel(workflow_id=id, name="f", path="f.csv"))
        data = self.call(
            "create_user_data", client.UserDataModel(workflow_id=id, name="u"), producer_job_id=first.id
        )
        more = self.call(
            "create_jobs",
            client.JobsModel(
                jobs=[
                    client.JobModel(workflow_id=id, name="second", command="true", depends_on_job_ids=[first.id]),
                    client.JobModel(workflow_id=id, name="third", command="true", input_file_ids=[file.id],
                                    input_user_data_ids=[data.id]),
                    client.JobModel(workflow_id=id, name="fourth", command="true", output_file_ids=[file.id]),
                ]
            ),
        )  # fmt: skip
        second = more.jobs[0]
        self.call("get_job", second.id)
        second.command = "false"
        self.call("update_job", second.id, second)
        self.call(
            "list_jobs", id, status="uninitialized", include_relationships=True, sort_by="name", limit=2
        )
        self.call("list_jobs", id, upstream_job_id=first.id, needs_file_id=None)
        self.call("list_job_ids", id)
        self.call("list_job_dependencies", id)
        self.call("list_job_file_relationships", id)
        self.call("list_job_user_data_relationships", id)
        self.call("list_required_existing_files", id)
        self.call("list_missing_user_data", id)
        self.call("initialize_jobs", id)
        self.call("get_ready_job_requirements", id)
        self.call("process_changed_job_inputs", id, dry_run=True)
        self.call("reset_job_status", id)
        self.call("delete_job", more.jobs[2].id)
        self.call("delete_jobs", id)

    def tasks(self):
        if not MODERN:
            return
        id = self.workflow()
        self.job(id, "only")
        line = self.api.initialize_jobs_with_http_info(id, var_async=True)
        task = json.loads(line.raw_data)
        print(json.dumps({"operation": "initialize_jobs", "status": line.status_code, "raw": line.raw_data.decode(),
                          "parsed": line.data is not None}), flush=True)  # fmt: skip
        self.call("get_task", task["id"])
        self.call("get_active_task_for_workflow", id)

    def attempts(self):
        id = self.workflow()
        names = ["a", "b", "c", "d", "e", "f"]
        jobs = [self.job(id, name).id for name in names]
        self.call("initialize_jobs", id, only_uninitialized=False, clear_ephemeral_user_data=True)
        node = self.node(id).id
        self.call("get_compute_node", node)
        offer = client.ComputeNodesResources(
            num_cpus=2, memory_gb=4.0, num_gpus=0, num_nodes=1, time_limit="PT1H", id=node
        )
        self.call("claim_jobs_based_on_resources", id, 2, offer, strict_scheduler_match=False)
        self.call("claim_next_jobs", id, limit=2)
        self.call("start_job", jobs[0], 1, node)
        if MODERN:
            self.call("get_running_jobs", id)
            self.call("get_slurm_job_correlations", id)
        self.call("complete_job", jobs[0], "completed", 1, self.result(id, jobs[0], node))
        self.call("start_job", jobs[1], 1, node)
        failed = self.result(id, jobs[1], node, return_code=1, status="failed")
        self.call("complete_job", jobs[1], "failed", 1, failed)
        self.call("retry_job", jobs[1], 1, max_retries=3)
        self.call("manage_status_change", jobs[2], "running", 1)
        if MODERN:
            entry = client.JobCompletionEntry(
                job_id=jobs[2], run_id=1, status="completed", result=self.result(id, jobs[2], node)
            )
            wrong = client.JobCompletionEntry(
                job_id=jobs[0],
                run_id=1,
                status="failed",
                result=self.result(id, jobs[0], node, return_code=2, status="failed"),
            )
            self.call("batch_complete_jobs", id, client.BatchCompleteJobsRequest(completions=[entry, wrong]))
            self.call("start_job", jobs[3], 1, node)
            spawn = client.SpawnJobsRequest(
                lineage="line", state={"n": 1}, jobs=[client.SpawnJobModel(name="child", command="true")]
            )
            self.call("spawn_jobs", jobs[3], spawn)
        self.call(
            "list_results",
            id,
            job_id=jobs[0],
            run_id=0,
            return_code=0,
            status="completed",
            compute_node_id=node,
        )
        self.call("list_results", id, all_runs=True)
        result = self.call("create_result", self.result(id, jobs[5], node))
        self.call("get_result", result.id)
        self.call("update_result", result.id, result)
        self.call("delete_result", result.id)
        stats = client.SlurmStatsModel(
            workflow_id=id, job_id=jobs[0], run_id=1, attempt_id=1, slurm_job_id="4711", max_rss_bytes=5
        )
        self.call("create_slurm_stats", stats)
        self.call("list_slurm_stats", id, job_id=jobs[0], run_id=1, attempt_id=1)
        self.call("list_compute_nodes", id, hostname="n1", is_active=True)
        model = self.call("get_compute_node", node)
        model.is_active = False
        self.call("update_compute_node", node, model)
        self.call("get_workflow_status", id)
        self.call("reset_job_status", id, failed_only=True)
        self.call("delete_results", id)

    def nodes(self):
        id = self.workflow()
        node = self.node(id, is_active=False).id
        self.call("delete_compute_node", node)
        self.call("delete_compute_nodes", id)

    def actions(self):
        id = self.workflow()
        job = self.job(id, "a").id
        action = self.call(
            "create_workflow_action", id,
            client.WorkflowActionModel(workflow_id=id, trigger_type="on_workflow_start", action_type="run_commands",
                                       action_config={"commands": ["echo hello"]}),
        )  # fmt: skip
        self.call(
            "create_workflow_action", id,
            client.WorkflowActionModel(workflow_id=id, trigger_type="on_jobs_complete", action_type="run_commands",
                                       action_config={"commands": ["echo end"]}, job_ids=[job]),
        )  # fmt: skip
        self.call("get_workflow_actions", id)
        self.call("initialize_jobs", id)
        self.call("get_pending_actions", id, trigger_type=["on_workflow_start", "on_jobs_complete"])
        self.call("claim_action", id, action.id, client.ClaimActionRequest())

    def access(self):
        group = self.call("create_access_group", client.AccessGroupModel(name="team", description="d"))
        self.call("get_access_group", group.id)
        self.call("list_access_groups")
        member = client.UserGroupMembershipModel(group_id=group.id, user_name="bob", role="member")
        self.call("add_user_to_group", group.id, member)
        self.call("list_group_members", group.id)
        self.call("list_user_groups", "bob")
        id = self.workflow()
        self.call("add_workflow_to_group", id, group.id)
        self.call("list_workflow_groups", id)
        self.call("check_workflow_access", id, "bob")
        self.call("remove_workflow_from_group", id, group.id)
        self.call("remove_user_from_group", group.id, "bob")
        self.call("delete_access_group", group.id)
        self.call("reload_auth")


class Stopped(Exception):
    """A call of a part failed, and what follows depends on it."""


PARTS = (
    "system", "workflows", "records", "schedulers", "remote", "events", "entities", "jobs", "tasks", "attempts", "nodes",
    "actions", "access",
)  # fmt: skip

if __name__ == "__main__":
    walk = Walk(sys.argv[1])
    for part in PARTS:
        walk.part(part)
