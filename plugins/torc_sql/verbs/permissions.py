"""Who may use which workflow (`Permissions`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torc_core.engine import permissions
from torc_core.engine.records import SYSTEM_GROUP
from torc_core.errors import Invalid, NotFound
from torc_core.model import Access, AccessGroup, GroupId, Membership, MembershipId, Workflow, WorkflowId
from torc_core.store.fields import PAIRS, WITHOUT_WORKFLOW, known
from torc_sql import finding, plain
from torc_sql.transacting import Transacting


class PermissionVerbs(Transacting):
    """Who may use which workflow (`Permissions`)."""

    def access(self, user: str, workflow: WorkflowId) -> Access:
        """How far a user may go with a workflow, and by which rule."""
        with self._read() as tx:
            found = self._record(tx, Workflow, workflow)
            links = tx.rows("LINKS_OF_USER", user_=user, wf_=workflow)
        return permissions.access(
            user,
            found,
            admin=any(is_system for _, is_system, _ in links),
            links=[(name, level) for name, _, level in links if level is not None],
        )

    def readable(self, user: str) -> Sequence[WorkflowId] | None:
        """The workflows that a user may read; None: all."""
        with self._read() as tx:
            if tx.row("IS_ADMIN", user_=user) is not None:
                return None
            return [WorkflowId(id) for (id,) in tx.rows("READABLE", user_=user)]

    def owner_of(self, kind: type[Any], ids: Sequence[int]) -> Sequence[WorkflowId]:
        """The workflows that records belong to, in the order of their ids."""
        noun = known(kind).noun
        if kind in PAIRS or kind in WITHOUT_WORKFLOW:
            raise Invalid(f"{noun}s belong to no workflow by an id of theirs")
        found: dict[int, WorkflowId] = {}
        with self._read() as tx:
            for at in range(0, len(ids), finding.MOST_VALUES):
                some = tuple(dict.fromkeys(ids[at : at + finding.MOST_VALUES]))
                found |= finding.owners(tx, kind, some)
        missing = next((id for id in ids if id not in found), None)
        if missing is not None:
            raise NotFound(f"no {noun} {missing}")
        return [found[id] for id in ids]

    def set_admins(self, users: Sequence[str]) -> None:
        """Fill the system group `admin` with exactly these."""
        with self._write() as tx:
            row = tx.row("SYSTEM_GROUP")
            group = GroupId(row[0]) if row else GroupId(tx.ids("group", 1))
            if row is None:
                made = AccessGroup(id=group, name=SYSTEM_GROUP, is_system=True, created_at=tx.now)
                tx.many("INSERT_ACCESS_GROUP", [plain.row(made)])
            there = {name: id for id, name in tx.rows("MEMBERS_OF_GROUP", group_=group)}
            for name in there.keys() - {*users}:
                tx.run("DROP_MEMBER", id_=there[name])
            new = [name for name in dict.fromkeys(users) if name not in there]
            first = tx.ids("membership", len(new)) if new else 0
            tx.many(
                "INSERT_USER_GROUP_MEMBERSHIP",
                [
                    plain.row(
                        Membership(
                            id=MembershipId(first + at), group_id=group, user_name=name, role="admin",
                            created_at=tx.now,
                        )
                    )
                    for at, name in enumerate(new)
                ],
            )  # fmt: skip
