"""Who may use which workflow (`Permissions`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torc_core.engine import permissions
from torc_core.engine.records import SYSTEM_GROUP
from torc_core.errors import Invalid, NotFound
from torc_core.model import (
    Access,
    AccessGroup,
    GroupId,
    GroupLink,
    Membership,
    MembershipId,
    WorkflowId,
)
from torc_core.store.fields import WITHOUT_WORKFLOW, known
from torc_core.testing.memory.holding import Holding


class PermissionVerbs(Holding):
    """Who may use which workflow (`Permissions`)."""

    def access(self, user: str, workflow: WorkflowId) -> Access:
        """How far a user may go with a workflow, and by which rule."""
        with self._locked():
            flow = self._flow(workflow)
            groups = self._groups_of(user)
            linked = [one for one in flow.tables[GroupLink].values() if one.group_id in groups]
            return permissions.access(
                user,
                flow.workflow,
                admin=any(one.is_system for one in groups.values()),
                links=[(groups[one.group_id].name, one.level) for one in linked],
            )

    def readable(self, user: str) -> Sequence[WorkflowId] | None:
        """The workflows that a user may read; None: all."""
        with self._locked():
            if any(one.is_system for one in self._groups_of(user).values()):
                return None
            return [id for id in sorted(self._flows) if self.access(user, id).level != "none"]

    def owner_of(self, kind: type[Any], ids: Sequence[int]) -> Sequence[WorkflowId]:
        """The workflows that records belong to, in the order of their ids."""
        if kind in WITHOUT_WORKFLOW:
            raise Invalid(f"{known(kind).noun}s belong to no workflow")
        with self._locked():
            found = []
            for id in ids:
                flow, _ = self._record(kind, id)
                if flow is None:
                    raise NotFound(f"no {known(kind).noun} {id}")
                found.append(flow.workflow.id)
            return found

    def set_admins(self, users: Sequence[str]) -> None:
        """Fill the system group `admin` with exactly these."""
        with self._locked():
            now = self._clock.now()
            groups = self._records.setdefault(AccessGroup, {})
            system = next((one for one in groups.values() if one.is_system), None)
            if system is None:
                id = GroupId(self._number("group"))
                system = groups[id] = AccessGroup(id=id, name=SYSTEM_GROUP, is_system=True, created_at=now)
            members = self._records.setdefault(Membership, {})
            there = {one.user_name: one.id for one in members.values() if one.group_id == system.id}
            for user in there.keys() - {*users}:
                del members[there[user]]
            for user in dict.fromkeys(users):
                if user not in there:
                    member = MembershipId(self._number("membership"))
                    members[member] = Membership(
                        id=member, group_id=system.id, user_name=user, role="admin", created_at=now
                    )

    def _groups_of(self, user: str) -> dict[GroupId, AccessGroup]:
        groups = self._records.get(AccessGroup, {})
        mine = [one.group_id for one in self._records.get(Membership, {}).values() if one.user_name == user]
        return {id: groups[id] for id in mine}
