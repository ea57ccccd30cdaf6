"""`torc jobs`: the jobs of a workflow."""

from __future__ import annotations

import json

import pytest

from torc_core.model import Job, JobStatus, Requirement


def names(ran):
    return [item["name"] for item in ran.json["items"]]


def test_a_table_shows_what_a_job_needs_and_its_command_in_forty_characters(torc, diamond):
    lines = torc("jobs", "list", diamond).out.splitlines()

    assert lines[0].split() == [
        "ID",
        "Name",
        "Status",
        "Attempt",
        "Priority",
        "Needs",
        "Node",
        "Started",
        "Command",
    ]
    right = next(line for line in lines if " right " in line)
    assert "4 cpu, 2g, 0:30:00" in right
    assert right.endswith("…")
    assert len(lines) == 5


def test_json_has_the_fields_of_the_rest_model(torc, diamond):
    items = {item["name"]: item for item in torc("jobs", "list", diamond, "--json").json["items"]}

    assert {name: item["status"] for name, item in items.items()} == {
        "prep": "completed", "left": "failed", "right": "running", "join": "canceled",
    }  # fmt: skip
    assert items["right"]["env"] == {"A": "1"}
    assert items["right"]["start_time"].endswith("Z")
    assert items["join"]["reason"].startswith("blocker:")
    assert "depends_on_job_ids" not in items["join"]


def test_relationships_come_when_asked_for(torc, diamond):
    found = torc("jobs", "list", diamond, "--include-relationships", "--json").json["items"]
    prep, left, right, join = found

    assert join["depends_on_job_ids"] == [left["id"], right["id"]]
    assert prep["output_file_ids"] == left["input_file_ids"]
    assert right["input_user_data_ids"] != []
    assert join["output_user_data_ids"] != []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-s", "failed"], ["left"]),
        (["--status", "failed,running"], ["left", "right"]),
        (["-s", "failed", "-s", "completed"], ["prep", "left"]),
        (["--name", "*t"], ["left", "right"]),
        (["--name", "LEFT"], []),
        (["--sort-by", "name"], ["join", "left", "prep", "right"]),
        (["--sort-by", "name", "--reverse-sort", "-l", "2"], ["right", "prep"]),
        (["--offset", "3"], ["join"]),
        (["--label", "gpu"], []),
    ],
)
def test_a_list_is_filtered_sorted_and_cut(torc, diamond, options, expected):
    assert names(torc("jobs", "list", diamond, "--json", *options)) == expected


def test_upstream_lists_who_waits_for_a_job(torc, diamond):
    prep = torc("jobs", "list", diamond, "--name", "prep", "--json").json["items"][0]["id"]

    assert names(torc("jobs", "list", diamond, "--upstream-job-id", prep, "--json")) == ["left", "right"]


def test_an_unknown_sort_field_is_refused_with_the_list(torc, diamond):
    ran = torc("jobs", "list", diamond, "--sort-by", "statu")

    assert ran.code == 2
    assert "did you mean 'status'?" in ran.err
    assert "priority" in ran.err


def test_a_misspelt_status_is_answered_with_the_nearest_one(torc, diamond):
    ran = torc("jobs", "list", diamond, "-s", "faild")

    assert ran.code == 2
    assert "did you mean 'failed'?" in ran.err


def test_get_tells_the_result_the_logs_and_what_is_waited_for(torc, diamond, home):
    _, left, right, _ = (item["id"] for item in torc("jobs", "list", diamond, "--json").json["items"])

    ended = torc("jobs", "get", left, "--json").json
    running = torc("jobs", "get", right, "--json").json

    assert ended["result"]["return_code"] == 3
    assert ended["stderr"] == str(home / f"torc_output/job_stdio/job_wf{diamond}_j{left}_r1_a1.e")
    assert running["result"] is None
    assert running["stdout"].endswith(f"job_wf{diamond}_j{right}_r1_a1.o")
    assert (ended["waiting_for"], ended["waiting_for_count"]) == ([], 0)


def test_get_of_a_blocked_job_names_its_open_blockers(torc):
    torc("workflows", "new", "-n", "w")
    torc("jobs", "create", "last", "-n", "a", "-c", "true")
    torc("jobs", "create", "last", "-n", "b", "-c", "true", "-b", "1")

    found = torc("jobs", "get", "2", "--json").json

    assert found["waiting_for"] == [{"job_id": 1, "job_name": "a", "status": "uninitialized"}]


def test_get_of_several_ids_is_a_list(torc, diamond):
    assert names(torc("jobs", "get", "1-2,4", "--json")) == ["prep", "left", "join"]
    assert len(torc("jobs", "get", "1", "3", "-f", "csv").rows) == 2


def test_create_takes_relations_and_prints_the_record(torc):
    torc("workflows", "new", "-n", "w")
    torc("files", "create", "last", "-n", "f", "-p", "f.txt")
    torc("resource-requirements", "create", "last", "-n", "big", "--num-cpus", "4")

    made = torc(
        "jobs", "create", "last", "-n", "a", "-c", "-x --y", "-o", "1", "-r", "2", "--priority", "7", "--label", "l",
        "--env", "A=1", "--env", "B=x=y", "--no-cancel-on-blocking-job-failure", "--json",
    ).json  # fmt: skip

    assert made["schema"] == "torc.jobs.job/1"
    assert (made["command"], made["priority"], made["label"]) == ("-x --y", 7, "l")
    assert made["env"] == {"A": "1", "B": "x=y"}
    assert made["output_file_ids"] == [1]
    assert made["resource_requirements_id"] == 2
    assert made["cancel_on_blocking_job_failure"] is False
    assert made["status"] == "uninitialized"


@pytest.mark.parametrize(
    "options",
    [
        ["-n", "", "-c", "true"],
        ["-n", "a", "-c", ""],
        ["-n", "a", "-c", "true", "--priority", "-1"],
        ["-n", "a", "-c", "true", "--env", "1X=2"],
        ["-n", "a", "-c", "true", "--env", "TORC_JOB_ID=2"],
        ["-n", "a", "-c", "true", "-b", "x"],
        ["-n", "a", "-c", "true", "-b", "99"],
    ],
)
def test_create_refuses_what_makes_no_sense_and_creates_nothing(torc, options):
    torc("workflows", "new", "-n", "w")

    ran = torc("jobs", "create", "last", *options)

    assert ran.code in (2, 5)
    assert torc("jobs", "list", "last", "--json").json["count"] == 0


def test_create_from_file_numbers_jobs_from_those_there(torc, home):
    (home / "tasks.txt").write_text("# comment\ntrue\n\necho a \\\n  b\n")
    torc("workflows", "new", "-n", "w")
    torc("jobs", "create", "last", "-n", "a", "-c", "true")

    made = torc("jobs", "create-from-file", "last", "tasks.txt", "--cpus-per-job", "2", "--json").json

    jobs = torc("jobs", "list", "last", "--json").json["items"]
    assert made["count"] == 2
    assert [(job["name"], job["command"]) for job in jobs[1:]] == [("job2", "true"), ("job3", "echo a   b")]
    assert {job["resource_requirements_id"] for job in jobs[1:]} == {made["resource_requirements_id"]}
    needs = torc("resource-requirements", "get", made["resource_requirements_id"], "--json").json
    assert (needs["num_cpus"], needs["memory"], needs["runtime"]) == (2, "1m", "P0DT1M")


def test_resource_options_never_change_what_other_jobs_share(torc, diamond, store_of_the_user):
    torc("jobs", "update", "1", "--memory", "3g", "--num-cpus", "2")
    torc("jobs", "update", "1", "--memory", "4g")

    with store_of_the_user() as store:
        jobs = [store.get(Job, number) for number in (1, 2)]
        needs = [store.get(Requirement, job.requirement_id) for job in jobs]
    assert (needs[0].memory, needs[0].memory_bytes, needs[0].num_cpus) == ("4g", 4 * 1024**3, 2)
    assert (needs[1].name, needs[1].memory) == ("default", "1m")
    assert torc("resource-requirements", "list", diamond, "--json").json["count"] == 3


def test_name_and_command_change_only_while_uninitialized(torc, diamond):
    ran = torc("jobs", "update", "1", "-c", "false")

    assert ran.code == 3
    assert "uninitialized" in ran.err


def test_update_changes_priority_and_label_at_any_time(torc, diamond):
    made = torc("jobs", "update", "1", "--priority", "9", "--label", "gpu", "--json").json
    cleared = torc("jobs", "update", "1", "--clear-label", "--json").json

    assert (made["priority"], made["label"]) == (9, "gpu")
    assert cleared["label"] is None


def test_a_disabled_job_can_be_enabled_again(torc):
    torc("workflows", "new", "-n", "w")
    torc("jobs", "create", "last", "-n", "a", "-c", "true")

    assert torc("jobs", "update", "1", "--disable", "--json").json["status"] == "disabled"
    assert torc("jobs", "update", "1", "--enable", "--json").json["status"] == "uninitialized"


def test_update_without_anything_to_change_is_wrong_usage(torc, diamond):
    assert torc("jobs", "update", "1").code == 2


def test_delete_needs_a_yes_and_is_refused_while_a_job_runs(torc, diamond):
    assert torc("jobs", "delete", "1").code == 3
    assert torc("jobs", "delete", "3", "--yes").code == 3
    assert torc("jobs", "list", diamond, "--json").json["count"] == 4
    assert torc("jobs", "delete", "1,2", "-y", "--json").json["count"] == 2
    assert names(torc("jobs", "list", diamond, "--json")) == ["right", "join"]


def test_delete_all_empties_a_workflow(torc):
    torc("workflows", "new", "-n", "w")
    torc("jobs", "create", "last", "-n", "a", "-c", "true")

    assert torc("jobs", "delete-all", "last").code == 3
    assert torc("jobs", "delete-all", "last", "--no-prompts", "--json").json["count"] == 1
    assert torc("jobs", "list", "last", "--json").json["count"] == 0


def test_cancel_stops_a_running_job_and_terminate_refuses_others(torc, diamond, store_of_the_user):
    assert torc("jobs", "terminate", "1").code == 3
    assert torc("jobs", "cancel", "3", "--reason", "enough").code == 0

    with store_of_the_user() as store:
        assert store.get(Job, 3).status is JobStatus.CANCELED or store.get(Job, 3).stop == 1


def test_what_each_job_needs_and_which_handler_it_has(torc, diamond):
    needs = torc("jobs", "list-resource-requirements", diamond, "--json").json["items"]
    handlers = torc("jobs", "list-failure-handlers", diamond, "--json").json["items"]

    assert [(item["job_name"], item["name"]) for item in needs] == [
        ("prep", "default"), ("left", "default"), ("right", "big"), ("join", "default"),
    ]  # fmt: skip
    assert [(item["job_name"], item["name"]) for item in handlers] == [("right", "again")]
    assert json.loads(handlers[0]["rules"])[0]["max_retries"] == 2
    assert torc("jobs", "list-failure-handlers", diamond, "-j", "1", "--json").json["count"] == 0


@pytest.fixture
def log(home, diamond):
    """The output of job 2."""
    folder = home / "torc_output/job_stdio"
    folder.mkdir(parents=True)
    stem = folder / f"job_wf{diamond}_j2_r1_a1"
    stem.with_name(stem.name + ".o").write_bytes(b"one\ntwo\nthree\n\xff\n")
    stem.with_name(stem.name + ".e").write_text("oops")
    return stem


def test_logs_are_printed_as_they_are(torc, log):
    ran = torc("jobs", "logs", "2", "--stream", "stderr")

    assert (ran.out, ran.code) == ("oops", 0)


def test_both_streams_have_headings_on_stderr(torc, log):
    ran = torc("jobs", "logs", "2", "--stream", "both", "-n", "1")

    assert ran.err.splitlines() == [f"==> stdout: {log}.o <==", f"==> stderr: {log}.e <=="]


@pytest.mark.parametrize(
    ("lines", "expected"), [(0, ""), (1, "three\n"), (2, "two\nthree\n"), (9, "one\ntwo\nthree\n")]
)
def test_a_tail_has_so_many_lines(torc, log, lines, expected):
    log.with_name(log.name + ".o").write_text("one\ntwo\nthree\n")

    assert torc("jobs", "logs", "2", "--stream", "stdout", "--tail", str(lines)).out == expected


def test_paths_are_told_also_where_nothing_is_visible(torc, diamond, home):
    ran = torc("jobs", "logs", "2", "--path")

    assert ran.code == 0
    assert ran.out.splitlines() == [
        f"{home}/torc_output/job_stdio/job_wf{diamond}_j2_r1_a1.o",
        f"{home}/torc_output/job_stdio/job_wf{diamond}_j2_r1_a1.e",
    ]


def test_logs_in_json_carry_text_and_paths(torc, log):
    document = torc("jobs", "logs", "2", "--json").json

    assert [one["stream"] for one in document["streams"]] == ["stdout", "stderr"]
    assert document["streams"][0]["content"].endswith("\ufffd\n")
    assert document["streams"][1]["content"] == "oops"


def test_logs_that_are_gone_and_attempts_that_never_were_are_not_found(torc, diamond):
    assert torc("jobs", "logs", "2").code == 5
    assert torc("jobs", "logs", "2", "--attempt", "7").code == 5
    assert torc("jobs", "logs", "4").code == 5


def test_following_ends_with_the_attempt(torc, log):
    assert torc("jobs", "logs", "2", "--stream", "stderr", "--follow").out == "oops"
