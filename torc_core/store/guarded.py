"""A store as one principal may use it: each call is checked against the table in `rights` (`security.md` §5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from torc_core.errors import Forbidden, Invalid, NotFound
from torc_core.model import (
    AccessGroup,
    AuditEntry,
    Job,
    Membership,
    NewJob,
    Page,
    Plan,
    Query,
    Token,
    Totals,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.store.fields import FIELDS, known
from torc_core.store.principal import LEVELS, Principal, Right
from torc_core.store.rights import (
    ADMIN,
    EDIT,
    FIELDS_OF_OWNERS,
    FREE,
    KINDS,
    NEVER,
    NOBODYS,
    OF_NO_WORKFLOW,
    OWN,
    READ,
    USER,
    VERBS,
    Kind,
)

R = TypeVar("R")


def guarded(store: Store, principal: Principal) -> Store:
    """The store as a principal may use it; who may do everything gets it as it is."""
    return store if principal.is_admin else cast("Store", Guarded(store, principal))


class Guarded:
    """The `Store` protocol for one principal."""

    def __init__(self, store: Store, principal: Principal) -> None:
        self._store = store
        self._principal = principal
        self._known: dict[WorkflowId, frozenset[Right]] = {}

    def __getattr__(self, name: str) -> Any:
        if name in NEVER:
            return self._refuse
        if name in FREE:
            return getattr(self._store, name)
        verb = VERBS.get(name)
        if verb is None:
            raise AttributeError(f"{name!r} may not be called for others")

        def call(*args: Any, **named: Any) -> Any:
            try:
                kind, ids = verb.about(*args, **named)
                inside = list(verb.inside(*args, **named))
            except (AttributeError, TypeError) as error:
                raise Invalid(f"the arguments do not fit {name}: {error}") from error
            workflows = self._admit(verb.right, kind, ids)
            if name == "spawn":
                self._only_own_job(args[0])
            for other, more in inside:
                self._same(workflows, other, more)
            return getattr(self._store, name)(*args, **named)

        return call

    def admit(self, right: Right, kind: type[Any], ids: Sequence[int]) -> None:
        """Refuse unless the principal has a right on all workflows that records belong to; what may not be read is not there.

        Raises
        ------
        NotFound, Forbidden
            If it has not.
        """
        self._admit(right, kind, ids)

    def rights(self, workflow: WorkflowId) -> frozenset[Right]:
        """What the principal may do with a workflow."""
        found = self._known.get(workflow)
        if found is None:
            found = self._known[workflow] = self._rights(workflow)
        return found

    # Catalog

    def get(self, kind: type[R], id: int) -> R:
        """One record that may be read."""
        known(kind)
        if kind in OF_NO_WORKFLOW:
            one = self._store.get(kind, id)
            if not self._may_see(one):
                raise _missing(kind, id)
            return one
        self._admit(READ, kind, (id,))
        return self._store.get(kind, id)

    def find(self, kind: type[R], query: Query) -> Page[R]:
        """Those records that may be read."""
        known(kind)
        if not isinstance(query, Query):
            raise Invalid("records are asked for by a Query")
        if kind in OF_NO_WORKFLOW:
            return self._find_without_workflow(kind, query)
        if query.workflow is not None:
            self._admit(READ, Workflow, (query.workflow,))
        elif kind is Workflow:
            self._need(USER)
            readable = self._readable()
            if readable is not None:
                query = _narrowed(query, "id", readable)
        else:
            ids = _asked(query, "id")
            if ids is None:
                raise Invalid(f"{FIELDS[kind].noun}s are listed by workflow, or by their ids")
            self._admit(READ, kind, ids)
        return self._store.find(kind, query)

    def add(self, records: Sequence[R]) -> Sequence[R]:
        """Add records."""
        wanted: dict[tuple[Right, WorkflowId], None] = {}
        for one in records:
            known(type(one))
            right = _kind(type(one)).add
            if isinstance(one, Membership):
                self._admit_to_group(one.group_id)
            elif right is None:
                self._need(ADMIN)
            else:
                # PERF: a hundred thousand records of one workflow are one question.
                wanted[right, cast("Any", one).workflow_id] = None
        for right, workflow in wanted:
            self._admit(right, Workflow, (workflow,))
        return self._store.add(records)

    def change(self, kind: type[R], id: int, fields: Mapping[str, object]) -> R:
        """Change fields of a record."""
        known(kind)
        if kind is Membership:
            self._admit_to_group(self._store.get(Membership, id).group_id)
        elif kind in OF_NO_WORKFLOW or _kind(kind).change is None:
            self._need(ADMIN)
        else:
            self._admit(_kind(kind).change or ADMIN, kind, (id,))
            for name, right in FIELDS_OF_OWNERS.items() if kind is Workflow else ():
                if name in fields and fields[name] is not None:
                    self._change_of_owner(right, WorkflowId(id), name, fields[name])
        return self._store.change(kind, id, fields)

    def remove(self, kind: type[R], ids: Sequence[int]) -> int:
        """Remove records."""
        known(kind)
        if kind is Membership:
            for id in ids:
                self._admit_to_group(self._store.get(Membership, id).group_id)
        elif kind in OF_NO_WORKFLOW or _kind(kind).remove is None:
            self._need(ADMIN)
        else:
            self._admit(_kind(kind).remove or ADMIN, kind, ids)
        return self._store.remove(kind, ids)

    # The rest of what is not about one workflow that exists

    def create(self, plan: Plan, user: str) -> Workflow:
        """Create a workflow; it belongs to the principal, whoever is named."""
        self._need(USER)
        if not isinstance(plan, Plan):
            raise Invalid("a workflow is created of a Plan")
        return self._store.create(plan, self._principal.name)

    def import_workflow(
        self, document: Mapping[str, Any], user: str, *, keep_status: bool = False
    ) -> Workflow:
        """Import a workflow; it belongs to the principal, whoever is named."""
        self._need(USER)
        if not isinstance(document, Mapping):
            raise Invalid("a workflow is imported from a document, a mapping")
        return self._store.import_workflow(document, self._principal.name, keep_status=keep_status)

    def add_jobs(self, jobs: Sequence[Any]) -> Sequence[Job]:
        """Add jobs to a workflow."""
        if not all(isinstance(one, NewJob) for one in jobs):
            raise Invalid("jobs are added as NewJob")
        self._admit(EDIT, Workflow, sorted({one.workflow_id for one in jobs}))
        return self._store.add_jobs(jobs)

    def totals(self, workflows: Sequence[WorkflowId]) -> Sequence[Totals]:
        """How far workflows are."""
        self._admit(READ, Workflow, workflows)
        return self._store.totals(workflows)

    def access(self, user: str, workflow: WorkflowId) -> Any:
        """How far a user may go with a workflow: asked of oneself, or by its owner."""
        self._admit(READ, Workflow, (workflow,))
        if user != self._principal.name and OWN not in self.rights(workflow):
            raise Forbidden(f"only the owner of workflow {workflow} may ask what others may do with it")
        return self._store.access(user, workflow)

    def readable(self, user: str) -> Sequence[WorkflowId] | None:
        """The workflows that the principal may read, whoever is named."""
        return self._readable()

    def owner_of(self, kind: type[Any], ids: Sequence[int]) -> Sequence[WorkflowId]:
        """The workflows of records that may be read."""
        self._admit(READ, kind, ids)
        return self._store.owner_of(kind, ids)

    # How it is decided

    def _refuse(self, *args: object, **named: object) -> None:
        raise Forbidden(_not_allowed(ADMIN))

    def _rights(self, workflow: WorkflowId) -> frozenset[Right]:
        who = self._principal
        if who.workflows is not None and workflow not in who.workflows:
            return frozenset()
        if not who.by_name:
            return who.rights if who.workflows is not None or who.everywhere else frozenset()
        return who.rights & LEVELS[self._store.access(who.name, workflow).level]

    def _readable(self) -> Sequence[WorkflowId] | None:
        who = self._principal
        if who.workflows is not None:
            return sorted(one for one in who.workflows if READ in self.rights(one))
        if who.everywhere:
            return None
        return self._store.readable(who.name) if who.by_name else ()

    def _need(self, right: Right) -> None:
        if right not in self._principal.rights:
            raise Forbidden(_not_allowed(right))

    def _admit(self, right: Right, kind: type[Any], ids: Sequence[int]) -> set[WorkflowId]:
        """Check a right on all workflows that records belong to; these workflows.

        Raises
        ------
        NotFound
            If one is not there or may not be read, which looks the same (Z2).
        Forbidden
            If it may be read, but this may not be done.
        """
        known(kind)
        _check_ids(ids)
        workflows = set()
        for id, workflow in zip(ids, self._store.owner_of(kind, ids), strict=True):
            if workflow in workflows:
                continue
            rights = self.rights(workflow)
            if READ not in rights:
                raise _missing(kind, id)
            if right not in rights:
                raise Forbidden(f"{_not_allowed(right)} of workflow {workflow}")
            workflows.add(workflow)
        return workflows

    def _same(self, workflows: set[WorkflowId], kind: type[Any], ids: Sequence[int]) -> None:
        """Refuse records of another workflow; those that are not there at all are left to the store (Z1)."""
        _check_ids(ids)
        try:
            owners = list(self._store.owner_of(kind, ids)) if ids else []
        except NotFound:
            owners = []
            for id in ids:
                try:
                    owners += self._store.owner_of(kind, (id,))
                except NotFound:
                    owners += workflows
        for id, owner in zip(ids, owners, strict=False):
            if owner not in workflows:
                raise _missing(kind, id)

    def _only_own_job(self, job: int) -> None:
        if self._principal.kind == "job" and job != self._principal.job:
            raise Forbidden(
                f"the capability of job {self._principal.job} adds jobs in the name of that job only"
            )

    def _change_of_owner(self, right: Right, workflow: WorkflowId, name: str, value: object) -> None:
        if right not in (self.rights(workflow) | self._principal.rights & {ADMIN}):
            if getattr(self._store.get(Workflow, workflow), name) == value:
                return  # read, modified elsewhere and sent back whole (`wire.md` T8)
            raise Forbidden(f"{_not_allowed(right)} of workflow {workflow}")

    def _groups(self) -> Mapping[int, str]:
        """The groups of the principal, and its role in each."""
        if self._principal.kind != "user":
            return {}
        mine = self._store.find(Membership, Query(where={"user_name": self._principal.name}))
        return {one.group_id: one.role for one in mine.items}

    def _admit_to_group(self, group: int) -> None:
        """Members are managed by admins of the server and of the group; nobody touches the system group."""
        self._need(USER)
        role = self._groups().get(group)
        if role is None:
            raise _missing(AccessGroup, group)
        if role != "admin" or self._store.get(AccessGroup, group).is_system:
            raise Forbidden(f"only admins of group {group} may change who is in it")

    def _may_see(self, one: object) -> bool:
        if isinstance(one, AccessGroup):
            return one.id in self._groups()
        if isinstance(one, Membership):
            return one.group_id in self._groups()
        return isinstance(one, Token) and self._principal.kind == "user" and one.user == self._principal.name

    def _find_without_workflow(self, kind: type[R], query: Query) -> Page[R]:
        if kind is AuditEntry:
            self._need(ADMIN)
        self._need(USER)
        if kind is Token:
            return self._store.find(kind, _narrowed(query, "user", [self._principal.name]))
        if kind is Membership and _asked(query, "user_name") == [self._principal.name]:
            return self._store.find(kind, query)
        field = "id" if kind is AccessGroup else "group_id"
        return self._store.find(kind, _narrowed(query, field, sorted(self._groups())))


def _check_ids(ids: Sequence[Any]) -> None:
    """Refuse what comes from outside and is no id before a store sees it."""
    wrong = next((one for one in ids if type(one) is not int), None)
    if wrong is not None:
        raise Invalid(f"{wrong!r} is no id")


def _kind(kind: type[Any]) -> Kind:
    """What records of a kind need; of kinds that nobody knows: what only admins may do."""
    return KINDS.get(kind, NOBODYS)


def _missing(kind: type[Any], id: int) -> NotFound:
    return NotFound(f"no {FIELDS[kind].noun} {id}")


def _not_allowed(right: Right) -> str:
    return {
        ADMIN: "this needs an admin of the server",
        USER: "this needs the name of a user; what was presented is for certain workflows only",
        OWN: "this needs the owner",
    }.get(right, f"this needs the right to {right}, which you do not have; ask the owner")


def _asked(query: Query, field: str) -> Sequence[Any] | None:
    """The values that a query asks a field for."""
    if field not in query.where:
        return None
    value = query.where[field]
    return list(value) if isinstance(value, list | tuple) else [value]


def _narrowed(query: Query, field: str, allowed: Sequence[Any]) -> Query:
    """The same query, among these values of a field only."""
    asked = _asked(query, field)
    kept = [one for one in allowed if one in asked] if asked is not None else list(allowed)
    return replace(query, where={**query.where, field: tuple(kept)})
