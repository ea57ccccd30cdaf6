"""`torc tasks`: long operations that somebody waits for."""

from __future__ import annotations

from torc_core.model import WorkflowId


def test_what_nobody_else_would_carry_out_is_carried_out(torc, diamond, store_of_the_user):
    torc("workflows", "new", "-n", "empty")
    with store_of_the_user() as store:
        task, _ = store.begin(WorkflowId(2), "initialize_jobs", {})

    waited = torc("tasks", "wait", task.id, "--json")

    assert (waited.code, waited.json["status"], waited.json["operation"]) == (
        0,
        "succeeded",
        "initialize_jobs",
    )


def test_a_task_that_fails_is_exit_code_1(torc, diamond, store_of_the_user):
    with store_of_the_user() as store:
        task, _ = store.begin(diamond, "initialize_jobs", {})

    waited = torc("tasks", "wait", task.id, "--json")

    assert (waited.code, waited.json["status"]) == (1, "failed")
    assert "running jobs" in waited.json["error"]


def test_an_unknown_task_is_not_found(torc, diamond):
    assert torc("tasks", "wait", "99").code == 5


def test_actions_show_how_far_they_are(torc, diamond):
    (shown,) = torc("workflows", "list-actions", diamond, "--json").json["items"]

    assert (shown["trigger_count"], shown["required_triggers"], shown["executed"], shown["outcome"]) == (
        1, 1, False, "triggered",
    )  # fmt: skip
