"""`torc access-groups`: members, links, and who may what."""

from __future__ import annotations

import pytest


@pytest.fixture
def lab(torc):
    """A group with one member, and a workflow."""
    torc("workflows", "new", "-n", "w")
    torc("access-groups", "create", "lab", "-d", "us")
    torc("access-groups", "add-user", "1", "bob", "-r", "admin")


def names(ran):
    return [one["name"] for one in ran.json["items"]]


def test_a_group_is_created_listed_and_shown(torc, lab):
    assert torc("access-groups", "get", "1", "--json").json["description"] == "us"
    assert names(torc("access-groups", "list", "--json")) == ["lab"]
    assert torc("access-groups", "create", "lab").code == 3
    assert torc("access-groups", "create", "-x").code == 2


def test_members_come_and_go(torc, lab):
    made = torc("access-groups", "add-user", "1", "eve", "--json").json

    assert (made["user_name"], made["role"]) == ("eve", "member")
    members = torc("access-groups", "list-members", "1", "--json").json["items"]
    assert [(one["user_name"], one["role"]) for one in members] == [("bob", "admin"), ("eve", "member")]
    assert names(torc("access-groups", "list-user-groups", "eve", "--json")) == ["lab"]
    assert torc("access-groups", "remove-user", "1", "eve").code == 0
    assert torc("access-groups", "remove-user", "1", "eve").code == 5
    assert torc("access-groups", "list-members", "9").code == 5
    assert names(torc("access-groups", "list-user-groups", "eve", "--json")) == []


def test_linking_asks_since_it_gives_an_account_away(torc, lab):
    refused = torc("access-groups", "add-workflow", "1", "1")

    assert (refused.code, "run any command as 'ana'" in refused.err) == (3, True)
    assert torc("access-groups", "add-workflow", "1", "1", "--yes", "--json").json["level"] == "full"
    assert names(torc("access-groups", "list-workflow-groups", "1", "--json")) == ["lab"]
    assert torc("access-groups", "add-workflow", "1", "1", "--yes").code == 3
    assert torc("access-groups", "remove-workflow", "1", "1").code == 0
    assert torc("access-groups", "remove-workflow", "1", "1").code == 5


def test_the_rule_that_grants_access_is_named(torc, lab):
    def rule(user):
        told = torc("access-groups", "check", "1", user, "--json").json
        return told["has_access"], told["level"], told["reason"]

    torc("access-groups", "add-workflow", "1", "1", "--level", "read")

    assert rule("ana") == (True, "own", "owner")
    assert rule("bob") == (True, "read", "group lab")
    assert rule("eve") == (False, "none", "no rule grants access")


def test_an_update_links_groups_by_name(torc, lab):
    assert torc("workflows", "update", "1", "--access-group", "lab", "--access-group", "lab").code == 0
    assert torc("workflows", "update", "1", "--access-group", "lab").code == 0
    assert names(torc("access-groups", "list-workflow-groups", "1", "--json")) == ["lab"]
    assert torc("workflows", "update", "1", "--access-group", "nobody").code == 5


def test_a_deleted_group_takes_its_members_and_links_along(torc, lab):
    torc("access-groups", "add-workflow", "1", "1", "--yes")

    assert torc("access-groups", "delete", "1").code == 3
    assert torc("access-groups", "delete", "1", "--yes").code == 0
    assert torc("access-groups", "list-workflow-groups", "1", "--json").json["count"] == 0


def test_tokens_are_listed_without_their_digests_and_revoked(torc, store_of_the_user):
    from torc_core.model import AuditEntry, Token

    with store_of_the_user() as store:
        store.add([Token(key="k", digest="d" * 64, user="ana")])
        store.add([AuditEntry(operation="denied", principal="eve", established="password", peer="10.0.0.1")])

    listed = torc("admin", "tokens", "list", "--json")
    assert ("d" * 64 in listed.out, listed.json["items"][0]["revoked_at"]) == (False, None)
    assert torc("admin", "tokens", "revoke", "1").code == 3
    assert torc("admin", "tokens", "revoke", "1", "--yes", "--json").json["count"] == 1
    assert torc("admin", "tokens", "list", "--json").json["items"][0]["revoked_at"] is not None
    assert torc("admin", "tokens", "revoke", "9", "--yes").code == 5
    assert (
        torc("admin", "audit", "list", "--operation", "denied", "--json").json["items"][0]["principal"]
        == "eve"
    )
    assert torc("admin", "audit", "list", "--after", "1", "--json").json["count"] == 0
