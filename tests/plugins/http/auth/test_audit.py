"""What is written down, by whichever route it is done (`security.md` §11)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torc_core.errors import Full
from torc_core.model import AuditEntry, Job, JobStatus, Node, Query, Token, Workflow, WorkflowId

BASE = "/torc-service/v1"


def entries(api: Any, *operations: str) -> list[tuple[str, str, str]]:
    """Operation, object and detail of what was written down of these kinds."""
    found = api.store.find(AuditEntry, Query()).items
    return [
        (one.operation, one.object, one.detail)
        for one in found
        if (one.operation in operations if operations else not one.operation.startswith(("login", "server")))
    ]


@pytest.fixture
def admin(credentials: Any) -> Any:
    return credentials["an admin of the server"]


@pytest.fixture
def owner(credentials: Any) -> Any:
    return credentials["the owner of the workflow"]


def test_a_new_owner_is_written_down_with_the_old_one(rooms: Any, admin: Any) -> None:
    body = rooms.ask("GET", f"{BASE}/workflows/1", admin).body

    rooms.ask("PUT", f"{BASE}/workflows/1", admin, {**body, "user": "bob"})
    rooms.ask("PATCH", f"{BASE}/x/workflows/1", admin, {"user": "ann"})

    assert entries(rooms, "owner_changed") == [
        ("owner_changed", "workflow 1", "'ann' to 'bob'"),
        ("owner_changed", "workflow 1", "'bob' to 'ann'"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/x/store/change", {"args": [{"#": "Workflow"}, 1, {"user": "bob"}], "named": {}}),
        ("POST", "/x/store/cancel", {"args": [1], "named": {}}),
        ("POST", "/x/store/delete", {"args": [1], "named": {"force": True}}),
        ("POST", "/x/tokens", {"all_workflows": True}),
        ("DELETE", "/x/tokens/1", None),
        ("POST", "/x/workflows/1/capabilities", {"revoke": True}),
    ],
)
def test_what_cannot_be_written_down_is_not_done(
    rooms: Any, admin: Any, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any
) -> None:
    rooms.ask("POST", f"{BASE}/x/tokens", admin, {"all_workflows": True})
    add = rooms.store.add

    def stands() -> Any:
        tokens = rooms.store.find(Token, Query()).items
        return rooms.store.get(Workflow, WorkflowId(1)), rooms.store.totals([1]), tokens

    def full(records: Any) -> Any:
        if isinstance(records[0], AuditEntry):
            raise Full("the disk is full")
        return add(records)

    before = stands()
    monkeypatch.setattr(rooms.store, "add", full)
    status = rooms.ask(method, BASE + path, admin, body).status

    assert (status, stands()) == (507, before)


def test_groups_and_links_are_written_down(rooms: Any, admin: Any, owner: Any) -> None:
    group = rooms.ask("POST", f"{BASE}/access_groups", admin, {"name": "lab"}).body["id"]
    rooms.ask(
        "POST",
        f"{BASE}/access_groups/{group}/members",
        admin,
        {"group_id": group, "user_name": "eve", "role": "admin"},
    )
    rooms.ask("POST", f"{BASE}/workflows/1/access_groups/{group}", owner)
    rooms.ask("POST", f"{BASE}/x/workflows/1/access_groups/{group}", owner, {"level": "read"})
    rooms.ask("DELETE", f"{BASE}/workflows/1/access_groups/{group}", owner)
    rooms.ask("DELETE", f"{BASE}/access_groups/{group}/members/eve", admin)
    rooms.ask("DELETE", f"{BASE}/access_groups/{group}", admin)

    assert entries(rooms) == [
        ("group_created", f"group {group} (lab)", ""),
        ("group_member_added", f"group {group}", "eve as admin"),
        ("workflow_linked", "workflow 1", f"group {group}, full"),
        ("workflow_linked", "workflow 1", f"group {group}, read"),
        ("workflow_unlinked", "workflow 1", f"group {group}"),
        ("group_member_removed", f"group {group}", "eve"),
        ("group_removed", f"group {group} (lab)", ""),
    ]


def test_a_deleted_workflow_is_written_down_by_every_route(rooms: Any, owner: Any, admin: Any) -> None:
    rooms.ask("DELETE", f"{BASE}/workflows/1", owner)
    rooms.ask("POST", f"{BASE}/x/store/delete", admin, {"args": [2], "named": {"force": True}})

    assert [one for one in entries(rooms) if one[0] == "workflow_deleted"] == [
        ("workflow_deleted", "workflow 1", ""),
        ("workflow_deleted", "workflow 2", ""),
    ]
    (deed,) = entries(rooms, "admin_action")
    assert (deed[1], deed[2].startswith("delete, workflow of '")) == ("workflow 2", True)


def test_what_an_admin_does_in_the_workflow_of_another_is_written_down(
    rooms: Any, admin: Any, owner: Any
) -> None:
    rooms.ask("PUT", f"{BASE}/workflows/1/cancel", owner)
    rooms.ask("POST", f"{BASE}/workflows/1/reset_status", admin)

    user = rooms.store.get(Workflow, WorkflowId(1)).user
    assert entries(rooms, "admin_action") == [
        ("admin_action", "workflow 1", f"reset_workflow, workflow of '{user}'")
    ]


def test_what_is_undone_is_not_written_down(rooms: Any, admin: Any) -> None:
    headers = {"Idempotency-Key": "once"}

    rooms.ask("POST", f"{BASE}/access_groups", admin, {"name": "no such name!"}, **headers)

    assert entries(rooms) == []


def test_results_that_come_too_late_or_twice_are_written_down(rooms: Any, credentials: Any) -> None:
    """Over the published route, where a single one is a conflict, and over that of runners, where it is an answer."""
    runner = credentials["the owner of the server, by the kernel"]
    job = rooms.store.find(Job, Query(workflow=WorkflowId(1), where={"status": JobStatus.READY})).items[0]
    result = {
        "job_id": job.id, "workflow_id": 1, "run_id": 1, "attempt_id": 1, "return_code": 0, "exec_time_minutes": 1.0,
        "completion_time": "2026-05-01T00:00:00Z", "status": "completed", "compute_node_id": 1,
    }  # fmt: skip
    path = f"{BASE}/jobs/{job.id}/complete_job"
    assert rooms.ask("POST", f"{path}/completed/1", runner, result).status == 200

    other = {**result, "return_code": 3, "status": "failed"}
    again = rooms.ask("POST", f"{path}/failed/1", runner, other, **{"Idempotency-Key": "k"})
    entry = {
        "job_id": job.id,
        "run_id": 1,
        "attempt_id": 9,
        "lease": "nobody's",
        "status": "failed",
        "return_code": 1,
    }
    late = {"exec_time_minutes": 1.0, "completion_time": "2026-05-01T00:00:00Z"}
    rooms.ask("POST", f"{BASE}/x/workflows/1/reconcile", runner, {"results": [{**entry, **late}]})

    assert again.status == 422
    assert entries(rooms, "duplicate_completion", "late_result") == [
        ("duplicate_completion", f"job {job.id}", "run 1, attempt 1"),
        ("late_result", f"job {job.id}", "run 1, attempt 9"),
    ]


def test_a_runner_that_was_replaced_is_written_down(rooms: Any, credentials: Any) -> None:
    runner = credentials["the owner of the server, by the kernel"]
    node = rooms.store.find(Node, Query(workflow=WorkflowId(1))).items[0]

    reply = rooms.ask("POST", f"{BASE}/x/nodes/{node.id}/turn", runner, {"epoch": "another"})

    assert reply.status == 409
    ((operation, object, _),) = entries(rooms, "fenced_node")
    assert (operation, object) == ("fenced_node", f"node {node.id}")


def test_changed_and_removed_results_are_written_down(rooms: Any, credentials: Any, owner: Any) -> None:
    runner = credentials["the owner of the server, by the kernel"]
    job = rooms.store.find(Job, Query(workflow=WorkflowId(1), where={"status": JobStatus.READY})).items[0]
    result = {
        "job_id": job.id, "workflow_id": 1, "run_id": 1, "attempt_id": 1, "return_code": 0, "exec_time_minutes": 1.0,
        "completion_time": "2026-05-01T00:00:00Z", "status": "completed", "compute_node_id": 1,
    }  # fmt: skip
    rooms.ask("POST", f"{BASE}/jobs/{job.id}/complete_job/completed/1", runner, result)

    rooms.ask("PUT", f"{BASE}/results/1", owner, {**result, "return_code": 1, "status": "failed"})
    rooms.ask("DELETE", f"{BASE}/results/1", owner)

    assert [one[1:] for one in entries(rooms, "result_changed")] == [
        ("result 1", "completed_at, exec_minutes, node_id, return_code, status"),
        ("result 1", "1 removed"),
    ]


def test_a_password_file_that_is_read_again_is_written_down(
    rooms: Any, make_api: Any, credentials: Any, tmp_path: Any, password_file: Any, settings: Any
) -> None:
    mine = tmp_path / "users"
    mine.write_text(password_file.read_text())
    mine.chmod(0o600)
    api = make_api(rooms.store, rooms.clock, replace(settings, auth_file=str(mine)), tmp_path)
    owner = credentials["the owner of the server, by the kernel"]
    api.ask("POST", f"{BASE}/admin/reload-auth", owner)

    mine.write_text("ann:secret\n")
    api.clock.move(6)
    api.ask("GET", f"{BASE}/workflows", credentials["the owner of the workflow"])

    told = entries(api, "htpasswd_reload")
    assert told[0] == ("htpasswd_reload", "password file", "6 users")
    assert told[1][2].startswith("the file has changed and cannot be read: ")


def test_a_runner_that_was_replaced_hears_so_though_it_cannot_be_written_down(
    rooms: Any, credentials: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = credentials["the owner of the server, by the kernel"]
    node = rooms.store.find(Node, Query(workflow=WorkflowId(1))).items[0]

    def full(records: Any) -> Any:
        raise Full("the disk is full")

    monkeypatch.setattr(rooms.store, "add", full)
    reply = rooms.ask("POST", f"{BASE}/x/nodes/{node.id}/turn", runner, {"epoch": "another"})

    assert (reply.status, reply.body["error"]["fenced"]) == (409, True)
