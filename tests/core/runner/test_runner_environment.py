"""What jobs find in their environment."""

from __future__ import annotations

import os

import pytest

from torc_core.detection import Detected
from torc_core.model import Plan, PlannedJob, PlannedRequirement, PlannedWorkflow, Resources

GIB = 1024**3


def variables(site, job: int = 1) -> dict[str, str]:
    return dict(line.split("=", 1) for line in site.file(".o", job).read_text().splitlines() if "=" in line)


@pytest.mark.parametrize("command", ["env", "env; exit 0"])
def test_a_job_is_told_who_it_is(site, command) -> None:
    site.run(command, submission_directory="/where")

    told, (job,) = variables(site), site.jobs()
    mark = f"{site.store.server_id}.{site.workflow.id}.{job.id}.1.1"
    assert {name: value for name, value in told.items() if name.startswith("TORC_")} == {
        "TORC_WORKFLOW_ID": str(site.workflow.id),
        "TORC_JOB_ID": str(job.id),
        "TORC_JOB_NAME": "job1",
        "TORC_RUN_ID": "1",
        "TORC_ATTEMPT_ID": "1",
        "TORC_OUTPUT_DIR": str(site.folder / "out"),
        "TORC_WORKFLOW_SUBMISSION_DIR": "/where",
        "TORC_RUNNER": told["TORC_RUNNER"],
        "TORC_MARK": mark,
    }
    assert told["TORC_RUNNER"].split(".")[0] == str(os.getpid())


def test_the_env_of_a_job_is_there_but_torc_wins(site) -> None:
    job = PlannedJob(name="j", command="env", env={"MINE": "1", "TORC_JOB_ID": "7", "TORC_OUTPUT_DIR": "/x"})

    site.run(job)

    told = variables(site)
    assert told["MINE"] == "1"
    assert told["TORC_JOB_ID"] == str(site.jobs()[0].id)
    assert told["TORC_OUTPUT_DIR"] == str(site.folder / "out")


def test_secrets_and_what_an_outer_job_was_told_are_not_inherited(site) -> None:
    site.environ |= {
        "TORC_PASSWORD": "x",
        "TORC_TOKEN_FILE": "x",
        "TORC_COOKIE_HEADER": "x",
        "TORC_API_URL": "x",
        "TORC_ORCHESTRATOR_LINEAGE_ID": "x",
    }

    site.run("env")

    told = variables(site)
    assert not {"TORC_PASSWORD", "TORC_TOKEN_FILE", "TORC_COOKIE_HEADER", "TORC_API_URL"} & set(told)
    assert "TORC_ORCHESTRATOR_LINEAGE_ID" not in told


def test_what_an_outer_srun_said_is_not_inherited(site) -> None:
    site.environ |= {"SLURM_STEP_ID": "0", "PMI_RANK": "0", "SLURM_PROCID": "0", "SLURM_JOB_ID": "5"}

    site.run("env")

    told = variables(site)
    assert told["SLURM_JOB_ID"] == "5"
    assert not {"SLURM_STEP_ID", "PMI_RANK", "SLURM_PROCID"} & set(told)


def test_the_address_is_told_where_there_is_one(site) -> None:
    site.create("env")

    site.runner(job_url=lambda given: "http://127.0.0.1:1/x").run()

    assert variables(site)["TORC_API_URL"] == "http://127.0.0.1:1/x"


def test_a_workflow_can_keep_the_address_from_its_jobs(site) -> None:
    site.create(PlannedJob(name="j", command="env", env={"TORC_API_URL": "mine"}), api_access="none")

    site.runner(job_url=lambda given: "http://127.0.0.1:1/x").run()

    assert "TORC_API_URL" not in variables(site)


def gpu_plan(*gpus: int) -> Plan:
    requirements = [PlannedRequirement(name=f"g{count}", num_gpus=count) for count in range(5)]
    jobs = [
        PlannedJob(name=f"j{n}", command="echo $CUDA_VISIBLE_DEVICES >> seen; env", requirement=count)
        for n, count in enumerate(gpus)
    ]
    return Plan(workflow=PlannedWorkflow(name="gpus"), jobs=jobs, requirements=requirements)


def with_gpus(site, *, amd: bool = False) -> None:
    ids = ("GPU-a", "GPU-b", "MIG-c", "3")
    site.detected = Detected(capacity=Resources(cpus=8, memory=8 * GIB, gpus=4), gpus=ids, amd=amd)


def test_jobs_get_devices_of_their_own_in_the_form_that_was_found(site) -> None:
    with_gpus(site)
    site.create(plan=gpu_plan(1, 1, 2))

    site.runner().run()

    seen = (site.folder / "seen").read_text().split()
    ids = ",".join(seen).split(",")
    assert sorted(ids) == sorted(("GPU-a", "GPU-b", "MIG-c", "3"))
    assert "ROCR_VISIBLE_DEVICES" not in variables(site)


def test_amd_devices_have_both_names(site) -> None:
    with_gpus(site, amd=True)
    site.create(plan=gpu_plan(2))

    site.runner().run()

    told = variables(site)
    assert told["ROCR_VISIBLE_DEVICES"] == told["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"


def test_a_job_that_asks_for_no_device_sees_none_where_devices_are_counted(site) -> None:
    with_gpus(site)
    site.create(plan=gpu_plan(1, 0))

    site.runner().run()

    assert variables(site, job=2)["CUDA_VISIBLE_DEVICES"] == ""


def test_devices_are_left_alone_where_no_job_asks_for_any(site) -> None:
    with_gpus(site)
    site.environ["CUDA_VISIBLE_DEVICES"] = "untouched"
    site.create(plan=gpu_plan(0))

    site.runner().run()

    assert variables(site)["CUDA_VISIBLE_DEVICES"] == "untouched"


def test_queue_depth_mode_leaves_devices_alone(site) -> None:
    with_gpus(site)
    site.environ["CUDA_VISIBLE_DEVICES"] = "untouched"
    site.create(plan=gpu_plan(1, 0))

    site.runner(max_parallel_jobs=2).run()

    assert {variables(site, job)["CUDA_VISIBLE_DEVICES"] for job in (1, 2)} == {"untouched"}


def test_one_device_jobs_take_turns_on_the_devices(site) -> None:
    with_gpus(site)
    site.create(plan=gpu_plan(*[1] * 30))

    report = site.runner().run()

    assert report.tally.completed == 30
    assert set((site.folder / "seen").read_text().split()) <= {"GPU-a", "GPU-b", "MIG-c", "3"}
