"""Records changed by JSON merge patches (RFC 7396): here null does clear (`wire.md` §7.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from marshmallow import Schema, ValidationError

from torc_core.errors import Invalid, did_you_mean
from torc_core.model import (
    CLEAR,
    Allocation,
    FailureHandler,
    File,
    Job,
    LocalScheduler,
    Node,
    Requirement,
    RoCrateEntity,
    SlurmScheduler,
    UserData,
    Workflow,
)
from torc_core.record import record
from torc_core.store.fields import FIELDS
from torc_http.call import Call
from torc_http.published import (
    allocations,
    compute_nodes,
    failure_handlers,
    files,
    jobs,
    local_schedulers,
    resource_requirements,
    ro_crate,
    slurm_schedulers,
    user_data,
    workflows,
)
from torc_http.routes import Route
from torc_http.wire.fields import Kind, Object, Plain
from torc_http.wire.jobs import JobModel
from torc_http.wire.nodes import AllocationModel, ComputeNodeModel
from torc_http.wire.records import (
    EntityModel,
    FileModel,
    HandlerModel,
    LocalSchedulerModel,
    RequirementModel,
    SlurmSchedulerModel,
    UserDataModel,
)
from torc_http.wire.settings import check_settings
from torc_http.wire.workflows import WorkflowBody

GROUP = "x"
Show = Callable[[Call, Sequence[Any]], Sequence[Plain]]


@record(frozen=True, slots=True, kw_only=True)
class Patched:
    """A kind of record that can be patched.

    Parameters
    ----------
    word
        How it is called in the path.
    inner
        Fields that lie in the mapping `fields` of the record.
    read
        What turns a value of the wire into that of the record, where its field alone does not.
    """

    word: str
    kind: type[Any]
    schema: type[Schema]
    show: Show
    access: str = "edit"
    inner: Sequence[str] = ()
    read: Mapping[str, Callable[[Any], Any]] | None = None

    def patch(self, call: Call) -> object:
        """Change what the patch names; null takes a value away."""
        with call.together():
            stored = call.store.get(self.kind, call.id)
            shown = self.show(call, [stored])[0]
            fields = self.fields(shown, call.body)
            if self.kind is Workflow:
                check_settings({name: value for name, value in fields.items() if value is not CLEAR})
            changed = call.store.change(self.kind, call.id, fields) if fields else stored
            return self.show(call, [changed])[0]

    def fields(self, shown: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
        """The change of the record that a patch means.

        Raises
        ------
        Invalid
            Naming the key that is unknown, fixed or wrong.
        """
        known: Mapping[str, Any] = self.schema().fields
        changeable = (*FIELDS[self.kind].changed, *FIELDS[self.kind].early)
        found: dict[str, Any] = {}
        inner: dict[str, Any] = {}
        for name, value in patch.items():
            field = known.get(name)
            attribute = name if field is None else field.attribute or name
            if field is None or (attribute not in changeable and name not in self.inner):
                raise _wrong(
                    name, value, "unknown key" if field is None else "it cannot be changed", self._choices()
                )
            into = inner if name in self.inner else found
            into[attribute] = self._value(name, field, shown.get(name), value)
        return {**found, "fields": inner} if inner else found

    def _value(self, name: str, field: Kind, before: Any, value: Any) -> Any:
        if value is None:
            return CLEAR
        try:
            value = field.take(merged(before, value))
        except ValidationError as error:
            raise _wrong(name, value, str(error.messages[0])) from None
        read = (self.read or {}).get(name)
        return value if read is None else read(value)

    def _choices(self) -> Sequence[str]:
        changeable = {*FIELDS[self.kind].changed, *FIELDS[self.kind].early, *self.inner}
        fields: Mapping[str, Any] = self.schema().fields
        return [name for name, field in fields.items() if (field.attribute or name) in changeable]

    @property
    def route(self) -> Route:
        """Its route."""
        noun = FIELDS[self.kind].noun
        return Route(
            method="PATCH", path=f"/x/{self.word}/{{id}}", operation_id=f"patch_{self.word}", access=self.access, group=GROUP,
            of=self.kind, handler=self.patch, body=Object(), answer=self.schema(), statuses=(403, 404, 422), x=True,
            summary=f"Change a {noun} by a merge patch: null clears.",
        )  # fmt: skip


def merged(before: Any, patch: Any) -> Any:
    """What a merge patch makes of a value: objects are merged key by key, and null takes a key away."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(before) if isinstance(before, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _wrong(name: str, value: Any, why: str, choices: Sequence[str] = ()) -> Invalid:
    more = f"{did_you_mean(name, choices)}; choose from {', '.join(choices)}" if choices else ""
    return Invalid(f"{name}: {why}{more}", details={"field": name, "value": value})


KINDS = (
    Patched(word="workflows", kind=Workflow, schema=WorkflowBody, show=workflows.shown, access="operate"),
    Patched(word="jobs", kind=Job, schema=JobModel, show=jobs.bodies),
    Patched(word="files", kind=File, schema=FileModel, show=files.NOUN.shown),
    Patched(word="user_data", kind=UserData, schema=UserDataModel, show=user_data.shown),
    Patched(
        word="resource_requirements", kind=Requirement, schema=RequirementModel,
        show=resource_requirements.NOUN.shown,
    ),
    Patched(
        word="failure_handlers", kind=FailureHandler, schema=HandlerModel, show=failure_handlers.shown,
        read={"rules": failure_handlers.rules_of},
    ),
    Patched(
        word="slurm_schedulers", kind=SlurmScheduler, schema=SlurmSchedulerModel, show=slurm_schedulers.shown,
        inner=slurm_schedulers.FIELDS,
    ),
    Patched(
        word="local_schedulers", kind=LocalScheduler, schema=LocalSchedulerModel, show=local_schedulers.NOUN.shown
    ),
    Patched(word="ro_crate_entities", kind=RoCrateEntity, schema=EntityModel, show=ro_crate.NOUN.shown),
    Patched(word="compute_nodes", kind=Node, schema=ComputeNodeModel, show=compute_nodes.shown, access="run"),
    Patched(
        word="scheduled_compute_nodes", kind=Allocation, schema=AllocationModel, show=allocations.shown, access="run"
    ),
)  # fmt: skip

ROUTES = tuple(one.route for one in KINDS)
