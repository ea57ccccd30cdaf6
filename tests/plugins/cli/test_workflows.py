"""`torc workflows`: the workflows of a store."""

from __future__ import annotations

import pytest

from torc_core.model import JobStatus, Query, Workflow


def names(ran):
    return [item["name"] for item in ran.json["items"]]


def test_a_list_tells_how_far_each_workflow_is(torc, diamond):
    lines = torc("workflows", "list").out.splitlines()
    item = torc("workflows", "list", "--json").json["items"][0]

    assert lines[0].split() == [
        "ID",
        "Name",
        "User",
        "Project",
        "Status",
        "Jobs",
        "Failed",
        "Age",
        "Description",
    ]
    assert "3/4" in lines[1]
    assert lines[1].endswith("four…")
    assert (item["status"], item["jobs_done"], item["jobs_total"], item["jobs_failed"]) == (
        "running",
        3,
        4,
        1,
    )
    assert "age" not in item


def test_a_list_is_your_own_unless_asked_otherwise(torc):
    torc("workflows", "new", "-n", "mine", "--project", "p")
    torc("workflows", "new", "-n", "hers", "--username", "bea")

    assert names(torc("workflows", "list", "--json")) == ["mine"]
    assert names(torc("workflows", "list", "-u", "bea", "--json")) == ["hers"]
    assert names(torc("workflows", "list", "--all-users", "--json")) == ["mine", "hers"]
    assert names(torc("workflows", "list", "--all-users", "--name", "h*", "--json")) == ["hers"]
    assert names(torc("workflows", "list", "--all-users", "--project", "p", "--json")) == ["mine"]
    assert names(torc("workflows", "list", "--archived-only", "--json")) == []
    assert torc("workflows", "list", "--all-users", "-u", "bea").code == 2


def test_lists_are_sorted_by_json_names_and_cut(torc):
    for name in "bac":
        torc("workflows", "new", "-n", name)

    assert names(torc("workflows", "list", "--sort-by", "name", "--json")) == ["a", "b", "c"]
    assert names(
        torc("workflows", "list", "--sort-by", "timestamp", "--reverse-sort", "-l", "1", "--json")
    ) == ["c"]
    page = torc("workflows", "list", "-l", "2", "--offset", "1", "--json").json
    assert (page["count"], page["total_count"], page["offset"], page["has_more"]) == (2, 3, 1, False)


def test_new_makes_an_empty_workflow_and_prints_it(torc, home):
    made = torc("workflows", "new", "-n", "w", "-d", "what for", "--metadata", '{"a": 1}', "--json").json

    assert made["schema"] == "torc.workflows.get/1"
    assert (made["name"], made["description"], made["metadata"], made["user"]) == (
        "w",
        "what for",
        {"a": 1},
        "ana",
    )
    assert made["submission_directory"] == str(home)
    assert made["run_id"] == 0


@pytest.mark.parametrize(
    "options", [[], ["-n", ""], ["-n", "w", "--metadata", "[1]"], ["-n", "w", "--metadata", "{"]]
)
def test_new_refuses_what_makes_no_sense(torc, options):
    assert torc("workflows", "new", *options).code == 2
    assert torc("workflows", "list", "--json").json["count"] == 0


def test_get_shows_the_whole_model(torc, diamond):
    found = torc("workflows", "get", "last", "--json").json

    assert (found["id"], found["run_id"], found["is_canceled"], found["is_archived"]) == (
        diamond,
        1,
        False,
        False,
    )
    assert found["compute_node_wait_for_new_jobs_seconds"] == 90


def test_update_changes_what_describes_a_workflow(torc, diamond):
    changed = torc("workflows", "update", diamond, "-n", "rhombus", "--project", "q", "--json").json

    assert (changed["name"], changed["project"], changed["description"]) == ("rhombus", "q", "four\njobs")
    assert torc("workflows", "update", diamond).code == 2


def test_is_complete_says_so_and_can_leave_with_1(torc, diamond):
    found = torc("workflows", "is-complete", diamond, "--json").json

    assert (found["is_complete"], found["is_canceled"], found["needs_to_run_completion_script"]) == (
        False,
    ) * 3
    assert torc("workflows", "is-complete", diamond).code == 0
    assert torc("workflows", "is-complete", diamond, "--check").code == 1


def test_actions_are_listed(torc, diamond):
    item = torc("workflows", "list-actions", diamond, "--json").json["items"][0]

    assert (item["trigger_type"], item["action_config"]) == ("on_jobs_complete", {"commands": ["true"]})


@pytest.fixture
def fresh(torc):
    """Two jobs: one reads a file that is not there yet, the other writes one."""
    torc("workflows", "new", "-n", "w")
    torc("files", "create", "last", "-n", "in", "-p", "in.txt")
    torc("files", "create", "last", "-n", "out", "-p", "out.txt")
    torc("jobs", "create", "last", "-n", "a", "-c", "true", "-i", "1")
    torc("jobs", "create", "last", "-n", "b", "-c", "true", "-o", "2")


def test_initialize_is_refused_while_an_input_is_missing_and_changes_nothing(torc, fresh):
    ran = torc("workflows", "initialize", "last")

    assert ran.code == 3
    assert "'in.txt'" in ran.err
    assert "--force" in ran.err
    assert torc("workflows", "get", "last", "--json").json["run_id"] == 0


def test_initialize_makes_jobs_ready_and_remembers_what_files_look_like(torc, fresh, home):
    (home / "in.txt").write_text("abc")

    done = torc("workflows", "init", "last", "--json").json

    assert (done["schema"], done["run_id"], done["jobs_by_status"]["ready"]) == ("torc.outcome/1", 1, 2)
    assert torc("files", "get", "1", "--json").json["size"] == 3


def test_force_goes_on_without_inputs(torc, fresh):
    assert torc("workflows", "initialize", "last", "--force").code == 0


def test_a_dry_run_tells_what_is_missing_and_what_exists_and_changes_nothing(torc, fresh, home):
    (home / "out.txt").write_text("old")

    ran = torc("workflows", "initialize", "last", "--dry-run", "--json")

    assert ran.code == 1
    assert ran.json["safe"] is False
    assert (ran.json["missing_input_files"], ran.json["missing_input_file_count"]) == (["in.txt"], 1)
    assert (ran.json["existing_output_files"], ran.json["existing_output_file_count"]) == (["out.txt"], 1)
    assert torc("workflows", "get", "last", "--json").json["run_id"] == 0


def test_a_dry_run_leaves_with_0_when_all_is_well(torc, fresh, home):
    (home / "in.txt").write_text("abc")

    assert torc("workflows", "initialize", "last", "--dry-run").code == 0


def test_existing_outputs_are_warned_of(torc, fresh, home):
    (home / "in.txt").write_text("abc")
    (home / "out.txt").write_text("old")

    assert "'out.txt'" in torc("workflows", "initialize", "last").err


def test_initialize_over_results_needs_a_yes_and_is_refused_while_jobs_run(torc, diamond, store_of_the_user):
    assert torc("workflows", "initialize", "last", "--yes").code == 3
    torc("jobs", "cancel", "3")
    with store_of_the_user() as store:
        workflow = store.find(Workflow, Query(where={"user": "ana"})).items[0]
        live = store.totals([workflow.id])[0].counts.get(JobStatus.RUNNING, 0)
    assert live == 0

    (_, refused, done) = (
        None,
        torc("workflows", "initialize", "last", "--force"),
        torc("workflows", "initialize", "last", "--force", "--yes", "--json"),
    )

    assert refused.code == 3
    assert done.json["run_id"] == 2


def test_older_spellings_mean_the_same_and_are_not_in_the_help(torc, fresh, home):
    (home / "in.txt").write_text("abc")

    assert torc("initialize", "last", "--dry-run", "--json").json["safe"] is True
    assert torc("init", "last", "--dry-run", "--json").json["safe"] is True
    assert torc("workflows", "status", "last").out == torc("status", "last").out
    assert "'torc workflows status' is now 'torc status'" in torc("workflows", "status", "last", "-v").err
    assert "reinit" not in torc("--help").out
    assert "│ create " not in torc("workflows", "--help").out
