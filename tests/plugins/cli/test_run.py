"""`torc run` in this process: specifications, ids and command lists, from beginning to end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from torc_core.model import (
    Job,
    JobStatus,
    NewNode,
    Offer,
    Query,
    Resources,
    Result,
    Turn,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.runner.place import Place

Torc = Callable[..., Any]
Opened = Callable[[], AbstractContextManager[Store]]

DIAMOND = """\
name: diamond
jobs:
  - {name: prep, command: "echo 1 > mid.txt", output_files: [mid]}
  - {name: left, command: "cp mid.txt left.txt", input_files: [mid]}
  - {name: right, command: "cp mid.txt right.txt", input_files: [mid]}
  - {name: join, command: "cat left.txt right.txt > final.txt", depends_on: [left, right]}
files:
  - {name: mid, path: mid.txt}
"""


@pytest.fixture
def diamond_spec(home: Path) -> Path:
    path = home / "diamond.yaml"
    path.write_text(DIAMOND)
    return path


def one_job(command: str, **more: object) -> str:
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f'name: one\njobs: [{{name: only, command: "{command}"{extra}}}]\n'


def died(store: Store, workflow: WorkflowId, count: int = 1) -> None:
    """A runner took jobs and was killed."""
    here = Place.here()
    node = store.join(
        NewNode(
            workflow_id=workflow,
            epoch="0b7c2c0a-0000-4000-8000-00000000dead",
            hostname=here.hostname,
            pid=2**22 - 1,
            boot_id=here.boot_id,
            process_start=1,
            capacity=Resources(cpus=8, memory=2**40),
        )
    )
    offer = Offer(claim_id="0b7c2c0a-0000-4000-8000-00000000c1a1", free=[node.capacity], limit=count)
    assert len(store.turn(Turn(node=node.id, epoch=node.epoch, offer=offer)).jobs) == count


def test_a_specification_is_created_initialised_and_run(torc: Torc, home: Path, diamond_spec: Path) -> None:
    ran = torc("run", "diamond.yaml")

    assert ran.code == 0
    assert (home / "final.txt").read_text() == "1\n1\n"
    assert "Jobs 4:  completed 4" in ran.out
    assert "created workflow 1 'diamond'" in ran.err


def test_the_summary_in_json_is_the_only_thing_on_stdout(torc: Torc, diamond_spec: Path, home: Path) -> None:
    ran = torc("--json", "run", "diamond.yaml")

    assert ran.code == 0
    assert ran.json["schema"] == "torc.run/1"
    assert ran.json["jobs_by_status"]["completed"] == 4
    assert (ran.json["is_complete"], ran.json["failed_jobs"]) == (True, [])
    assert ran.json["output_dir"] == str(home / "torc_output")


def test_a_failed_job_is_told_at_once_and_listed_at_the_end(torc: Torc, home: Path) -> None:
    (home / "one.yaml").write_text(one_job("echo oh >&2; exit 3"))

    ran = torc("--json", "run", "one.yaml")

    assert ran.code == 1
    log = "torc_output/job_stdio/job_wf1_j1_r1_a1.e"
    assert f"job 'only' (id 1) failed: exit 3; log: {log}" in ran.err.splitlines()
    (failed,) = ran.json["failed_jobs"]
    assert (failed["job_id"], failed["name"], failed["return_code"]) == (1, "only", 3)
    assert Path(failed["stderr"]).read_text() == "oh\n"


def test_exit_zero_turns_one_into_nothing(torc: Torc, home: Path) -> None:
    (home / "one.yaml").write_text(one_job("false"))

    assert torc("run", "one.yaml", "--exit-zero").code == 0


def test_a_workflow_that_was_created_is_run_by_its_id(torc: Torc, diamond_spec: Path) -> None:
    torc("create", "diamond.yaml")

    assert torc("run", "1").code == 0
    assert torc("status", "1", "--exit-code").code == 0


def test_a_complete_workflow_is_not_run_again(torc: Torc, diamond_spec: Path) -> None:
    torc("run", "diamond.yaml")

    ran = torc("run", "last")

    assert ran.code == 0
    assert "nothing to run; to run it again: torc workflows reinit" in ran.err


def test_a_complete_specification_makes_a_new_workflow(torc: Torc, diamond_spec: Path) -> None:
    torc("run", "diamond.yaml")

    assert torc("--json", "run", "diamond.yaml").json["workflow_id"] == 2


def test_missing_inputs_are_refused_with_their_names(torc: Torc, home: Path) -> None:
    (home / "one.yaml").write_text(
        one_job("cat raw.txt", input_files="[raw]") + "files: [{name: raw, path: raw.txt}]\n"
    )

    ran = torc("run", "one.yaml")

    assert ran.code == 3
    assert "file 'raw.txt'" in ran.err
    assert "torc workflows initialize 1 --force" in ran.err


def test_what_fits_nowhere_ends_the_run_with_a_reason(torc: Torc, home: Path) -> None:
    (home / "big.yaml").write_text(
        one_job("true", resource_requirements="big")
        + "resource_requirements: [{name: big, num_cpus: 64, memory: 1m, runtime: PT1M}]\n"
    )

    ran = torc("run", "big.yaml", "--num-cpus", "2")

    assert ran.code == 1
    assert "left with 1 job unfinished" in ran.err
    assert "needs more CPUs than" in ran.err


def test_a_run_that_was_killed_goes_on_with_the_same_command(
    torc: Torc, diamond_spec: Path, store_of_the_user: Opened
) -> None:
    torc("create", "diamond.yaml")
    torc("workflows", "initialize", "1", "--yes")
    with store_of_the_user() as store:
        died(store, WorkflowId(1))

    ran = torc("run", "diamond.yaml")

    assert ran.code == 0
    assert "continuing workflow 1; --new starts another" in ran.err
    assert "1 job is ready again after an interrupted run" in ran.err
    with store_of_the_user() as store:
        results = store.find(Result, Query(workflow=WorkflowId(1))).items
        current = [result for result in results if result.current]
    assert sorted(result.job_name for result in current) == ["join", "left", "prep", "right"]
    assert [(one.attempt_id, one.status) for one in results if one.job_name == "prep"] == [
        (1, JobStatus.FAILED),
        (2, JobStatus.COMPLETED),
    ]


def test_new_starts_another_workflow_though_one_is_unfinished(torc: Torc, diamond_spec: Path) -> None:
    torc("create", "diamond.yaml")

    assert torc("--json", "run", "diamond.yaml", "--new").json["workflow_id"] == 2


def test_a_changed_specification_makes_a_new_workflow(torc: Torc, diamond_spec: Path) -> None:
    torc("create", "diamond.yaml")
    diamond_spec.write_text(DIAMOND + "# changed\n")

    assert torc("--json", "run", "diamond.yaml").json["workflow_id"] == 2


def test_actions_and_failure_handlers_are_executed(torc: Torc, home: Path) -> None:
    (home / "one.yaml").write_text(
        one_job("test -e done || { touch done; exit 3; }", failure_handler="again")
        + "failure_handlers: [{name: again, rules: [{exit_codes: [3], max_retries: 2}]}]\n"
        + "actions: [{trigger_type: on_workflow_complete, action_type: run_commands, commands: ['touch ended']}]\n"
    )

    ran = torc("run", "one.yaml")

    assert (ran.code, (home / "torc_output" / "ended").exists()) == (0, True)
    assert "warning: " not in ran.err


def test_a_failing_action_is_told_and_fails_nothing(torc: Torc, home: Path) -> None:
    (home / "one.yaml").write_text(
        one_job("true")
        + "actions: [{trigger_type: on_workflow_start, action_type: run_commands, commands: ['exit 4']}]\n"
    )

    ran = torc("run", "one.yaml")

    assert ran.code == 0
    assert "warning: action 1 (on_workflow_start) failed: command 1 ended with 4; log: " in ran.err


def test_only_jobs_with_the_label_are_run(torc: Torc, home: Path, store_of_the_user: Opened) -> None:
    (home / "two.yaml").write_text(
        "name: two\ncompute_node_wait_for_new_jobs_seconds: 1\n"
        "jobs: [{name: a, command: 'true', label: gpu}, {name: b, command: 'true'}]\n"
    )

    ran = torc("run", "two.yaml", "--label", "gpu")

    assert ran.code == 1
    with store_of_the_user() as store:
        jobs = store.find(Job, Query(workflow=WorkflowId(1))).items
    assert [job.status.label for job in jobs] == ["completed", "ready"]


def test_a_list_of_commands_is_run_and_continued_like_a_specification(
    torc: Torc, home: Path, store_of_the_user: Opened
) -> None:
    (home / "tasks.txt").write_text("# two\necho a > a\necho b > b\n")

    ran = torc("run", "tasks.txt", "-j", "1")

    assert ran.code == 0
    assert [(home / name).read_text() for name in "ab"] == ["a\n", "b\n"]
    with store_of_the_user() as store:
        assert store.get(Workflow, 1).source_path == str(home / "tasks.txt")


def test_a_file_is_taken_for_what_its_content_is(torc: Torc, home: Path) -> None:
    (home / "spec").write_text(one_job("true"))
    (home / "list").write_text("echo a && true\n")

    assert torc("--json", "run", "spec").json["workflow_name"] == "one"
    assert torc("--json", "run", "list").json["workflow_name"].startswith("exec_")


def test_a_dry_run_says_what_fits_this_host_and_changes_nothing(torc: Torc, home: Path) -> None:
    (home / "big.yaml").write_text(
        "name: big\njobs: [{name: a, command: 'true'}, {name: b, command: 'true', resource_requirements: big}]\n"
        "resource_requirements: [{name: big, num_cpus: 64, memory: 1m, runtime: PT1M}]\n"
    )

    ran = torc("run", "big.yaml", "--dry-run", "--json", "--num-cpus", "2")

    assert ran.code == 1
    assert ran.json["schema"] == "torc.run.check/1"
    assert (ran.json["jobs_to_run"], ran.json["jobs_that_fit"]) == (2, 1)
    assert ran.json["jobs_that_never_fit"][0]["resource_requirements"] == "big"
    assert not list(home.rglob("*.db"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--num-cpus", "0"), "--num-cpus '0' is out of range"),
        (("--memory-gb", "-1"), "--memory-gb '-1' is out of range"),
        (("-j", "-1"), "-j '-1' is out of range"),
        (("--halt", "sometimes"), "--halt 'sometimes' is not a condition"),
        (("--output-dir", "/proc/none"), "cannot write to '/proc/none'"),
    ],
)
def test_options_out_of_range_are_refused(
    torc: Torc, diamond_spec: Path, words: tuple[str, ...], message: str
) -> None:
    ran = torc("run", "diamond.yaml", *words)

    assert ran.code == 2
    assert message in ran.err


def test_a_halt_leaves_the_rest_for_a_later_run(torc: Torc, home: Path, store_of_the_user: Opened) -> None:
    jobs = ", ".join(f"{{name: j{n}, command: 'test -e go'}}" for n in range(30))
    (home / "many.yaml").write_text(f"name: many\njobs: [{jobs}]\n")

    halted = torc("run", "many.yaml", "--halt", "soon,fail=1", "-j", "1")

    assert halted.code == 1
    assert "halted: " in halted.err
    with store_of_the_user() as store:
        ready = store.find(Job, Query(workflow=WorkflowId(1), where={"status": int(JobStatus.READY)})).total
    assert ready > 0
    (home / "go").touch()
    assert torc("--json", "run", "1").json["jobs_by_status"]["completed"] == ready
