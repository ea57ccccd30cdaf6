"""What stores say about who may use which workflow (`security.md` §5)."""

from __future__ import annotations

import pytest

from torc_core.errors import Forbidden, Invalid, NotFound
from torc_core.model import AccessGroup, File, GroupLink, Job, Membership, Query, Token, Workflow, WorkflowId
from torc_core.protocols import Store
from torc_core.testing import plans
from torc_core.testing.stores.scene import Scene


class PermissionContract:
    """Owners, groups, admins."""

    def test_owners_members_and_admins_have_access(self, scene: Scene, store: Store) -> None:
        workflow = scene.created(plans.fan(1)).id
        _link(store, workflow, "team", "bob")
        _link(store, workflow, "readers", "dora", level="read")
        store.set_admins(["root"])

        found = {user: store.access(user, workflow) for user in ("ann", "bob", "dora", "root", "eve")}

        assert {user: (one.level, one.reason) for user, one in found.items()} == {
            "ann": ("own", "owner"),
            "bob": ("full", "group team"),
            "dora": ("read", "group readers"),
            "root": ("own", "admin"),
            "eve": ("none", "no rule grants access"),
        }

    def test_of_several_groups_the_one_that_allows_most_counts(self, scene: Scene, store: Store) -> None:
        workflow = scene.created(plans.fan(1)).id
        for name, level in (("a", "read"), ("b", "full"), ("c", "full"), ("d", "read")):
            _link(store, workflow, name, "bob", level=level)

        assert store.access("bob", workflow).reason == "group b"

    def test_readable_are_ones_own_and_those_of_ones_groups(self, scene: Scene, store: Store) -> None:
        own, linked, other = (scene.created(plans.fan(1), user).id for user in ("ann", "eve", "eve"))
        _link(store, linked, "team", "ann")
        store.set_admins(["root"])

        assert store.readable("ann") == [own, linked]
        assert store.readable("eve") == [linked, other]
        assert store.readable("nobody") == []
        assert store.readable("root") is None

    def test_records_belong_to_their_workflows(self, scene: Scene, store: Store) -> None:
        one, other = (scene.created(plans.diamond()).id for _ in range(2))
        jobs = [scene.jobs(id)[0].id for id in (one, other)]
        file = store.find(File, Query(workflow=other)).items[0].id

        assert store.owner_of(Job, [jobs[1], jobs[0], jobs[1]]) == [other, one, other]
        assert store.owner_of(File, [file]) == [other]
        assert store.owner_of(Workflow, [one]) == [one]
        assert store.owner_of(Job, []) == []

    def test_what_is_not_there_belongs_to_nobody(self, scene: Scene, store: Store) -> None:
        workflow = scene.created(plans.fan(1)).id
        job = scene.jobs(workflow)[0].id
        gone = scene.created(plans.fan(1)).id
        job_of_gone = scene.jobs(gone)[0].id
        store.delete(gone)

        for kind, ids, text in (
            (Job, [job, 10**6], "no job 1000000"),
            (Workflow, [10**6], "no workflow 1000000"),
            (Workflow, [gone], f"no workflow {gone}"),
            (Job, [job_of_gone], f"no job {job_of_gone}"),
        ):
            with pytest.raises(NotFound, match=f"^{text}$"):
                store.owner_of(kind, ids)
        with pytest.raises(NotFound, match=f"^no workflow {gone}$"):
            store.access("ann", gone)
        with pytest.raises(Invalid):
            store.owner_of(Token, [1])

    def test_admins_are_those_of_the_configuration_and_no_others(self, scene: Scene, store: Store) -> None:
        store.set_admins(["root", "toor"])
        store.set_admins(["toor", "boss", "boss"])
        group = store.find(AccessGroup, Query(where={"name": "admin"})).items[0]

        members = store.find(Membership, Query(where={"group_id": group.id})).items

        assert group.is_system
        assert sorted(one.user_name for one in members) == ["boss", "toor"]
        with pytest.raises(Forbidden):
            store.add([Membership(group_id=group.id, user_name="eve")])
        with pytest.raises(Forbidden):
            store.remove(Membership, [members[0].id])


def _link(store: Store, workflow: WorkflowId, group: str, user: str, *, level: str = "full") -> None:
    made = store.add([AccessGroup(name=group)])[0]
    store.add([Membership(group_id=made.id, user_name=user)])
    store.add([GroupLink(workflow_id=workflow, group_id=made.id, level=level)])
