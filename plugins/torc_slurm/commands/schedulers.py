"""`torc slurm create|update|list|get|delete`: how allocations of a workflow are asked for."""

from __future__ import annotations

import sys
from dataclasses import fields as fields_of
from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import NotFound, UsageError, did_you_mean
from torc_core.given import Given
from torc_core.model import Json, Query, SlurmScheduler, WorkflowId
from torc_core.record import record
from torc_core.session import Session
from torc_terminal.noun import Noun
from torc_terminal.options import Yes
from torc_terminal.output.answer import Listing, Outcome, Record, refuse_csv
from torc_terminal.output.cells import Column
from torc_terminal.output.records import Item
from torc_terminal.paging import WHOLE, Paging
from torc_terminal.selector import workflow as selected

FIELDS = (
    "account", "partition", "qos", "nodes", "walltime", "gres", "mem", "tmp", "ntasks_per_node", "extra",
    "serialize_allocations", "auto_top_up", "keep_queued",
)  # fmt: skip


def scheduler_item(one: SlurmScheduler) -> Item:
    """A scheduler as `SlurmSchedulerModel`."""
    return {
        "id": one.id,
        "workflow_id": one.workflow_id,
        "name": one.name,
        **{name: one.fields.get(name) for name in FIELDS},
    }


NOUN = Noun(
    record=SlurmScheduler,
    group="slurm",
    one="scheduler",
    many="schedulers",
    item=scheduler_item,
    columns=(
        Column(title="ID", key="id", right=True),
        Column(title="Name", key="name"),
        Column(title="Account", key="account"),
        Column(title="Partition", key="partition"),
        Column(title="QOS", key="qos"),
        Column(title="Nodes", key="nodes", right=True),
        Column(title="Walltime", key="walltime"),
        Column(title="Mem", key="mem", right=True),
        Column(title="GRES", key="gres"),
        Column(title="Extra", key="extra"),
    ),
)


@Parameter(name="*")
@record(frozen=True, slots=True, kw_only=True)
class Asked:
    """What sbatch is asked for, by options that create and update share.

    Parameters
    ----------
    serialize_allocations
        Its allocations run one after the other.
    auto_top_up
        Ask for more when ready jobs have no allocation.
    keep_queued
        Keep queued allocations that nothing needs any more.
    """

    serialize_allocations: Annotated[bool | None, Parameter(show_default=False)] = None
    auto_top_up: Annotated[bool | None, Parameter(show_default=False)] = None
    keep_queued: Annotated[bool | None, Parameter(show_default=False)] = None

    def given(self) -> dict[str, Json]:
        """Those that were given."""
        return {one.name: value for one in fields_of(self) if (value := getattr(self, one.name)) is not None}


def create(
    workflow: str | None = None,
    /,
    *,
    name: Annotated[str, Parameter(name=["--name", "-n"])],
    account: Annotated[str, Parameter(name=["--account", "-a"])],
    gres: Annotated[str | None, Parameter(name=["--gres", "-g"])] = None,
    mem: Annotated[str | None, Parameter(name=["--mem", "-m"])] = None,
    nodes: Annotated[int, Parameter(name=["--nodes", "-N"])] = 1,
    partition: Annotated[str | None, Parameter(name=["--partition", "-p"])] = None,
    qos: Annotated[str | None, Parameter(name=["--qos", "-q"])] = "normal",
    tmp: Annotated[str | None, Parameter(name=["--tmp", "-t"])] = None,
    walltime: Annotated[str, Parameter(name=["--walltime", "-W"])] = "04:00:00",
    extra: Annotated[str | None, Parameter(name=["--extra", "-e"], allow_leading_hyphen=True)] = None,
    ntasks_per_node: int | None = None,
    asked: Asked | None = None,
    session: Given,
) -> Record:
    """Add a scheduler to a workflow: how allocations are asked for.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    name
        Name of the scheduler.
    account
        Account to charge.
    gres
        Generic resources of each node, such as `gpu:4`.
    mem
        Memory of each node in Slurm's own units, such as `240000M`.
    nodes
        Nodes of each allocation.
    partition
        Partition, or several with commas.
    qos
        Quality of service; an empty text: none is asked for.
    tmp
        Local disk of each node.
    walltime
        Time limit: `D-HH:MM:SS`, `HH:MM:SS`, `MM:SS` or minutes.
    extra
        Further long options for sbatch, such as `--constraint=big --exclusive`.
    ntasks_per_node
        Tasks that sbatch is told of for each node.
    """
    refuse_csv(session)
    texts = {"gres": gres, "mem": mem, "partition": partition, "qos": qos, "tmp": tmp, "extra": extra}
    fields: dict[str, Json] = {"account": account, "nodes": nodes, "walltime": walltime}
    fields |= {key: text for key, text in texts.items() if text}
    if ntasks_per_node is not None:
        fields["ntasks_per_node"] = ntasks_per_node
    new = SlurmScheduler(
        workflow_id=selected(session, workflow), name=_named(name), fields=fields | (asked or Asked()).given()
    )
    return NOUN.told(session.store().add([new])[0])


def update(
    id: int,
    /,
    *,
    name: str | None = None,
    account: str | None = None,
    gres: str | None = None,
    mem: str | None = None,
    nodes: int | None = None,
    partition: str | None = None,
    qos: str | None = None,
    tmp: str | None = None,
    walltime: str | None = None,
    extra: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    ntasks_per_node: int | None = None,
    asked: Asked | None = None,
    n: Annotated[str | None, Parameter(name="-n", show=False)] = None,
    nn: Annotated[str | None, Parameter(name="-N", show=False)] = None,
    session: Given,
) -> Record:
    """Change a scheduler, for allocations that are asked for later; an empty text takes a field away.

    Parameters
    ----------
    id
        Id of the scheduler.
    name
        Name of the scheduler.
    account
        Account to charge.
    gres
        Generic resources of each node, such as `gpu:4`.
    mem
        Memory of each node in Slurm's own units, such as `240000M`.
    nodes
        Nodes of each allocation.
    partition
        Partition, or several with commas.
    qos
        Quality of service.
    tmp
        Local disk of each node.
    walltime
        Time limit: `D-HH:MM:SS`, `HH:MM:SS`, `MM:SS` or minutes.
    extra
        Further long options for sbatch, such as `--constraint=big --exclusive`.
    ntasks_per_node
        Tasks that sbatch is told of for each node.
    """
    refuse_csv(session)
    for short, value in (("-n", n), ("-N", nn)):
        if value is not None:
            raise UsageError(
                f"'{short}' means another thing in older releases when a scheduler is updated; write --name or --nodes"
            )
    texts = {
        "account": account, "gres": gres, "mem": mem, "partition": partition, "qos": qos, "tmp": tmp, "walltime": walltime,
        "extra": extra,
    }  # fmt: skip
    changed: dict[str, Json] = {key: text or None for key, text in texts.items() if text is not None}
    numbers = {"nodes": nodes, "ntasks_per_node": ntasks_per_node}
    changed |= {key: number for key, number in numbers.items() if number is not None}
    changed |= (asked or Asked()).given()
    if not changed and name is None:
        raise UsageError("nothing to change; give at least one option (see 'torc slurm update --help')")
    old = session.store().get(SlurmScheduler, id)
    change: dict[str, object] = {"fields": {**old.fields, **changed}} if changed else {}
    if name is not None:
        change["name"] = _named(name)
    return NOUN.told(session.store().change(SlurmScheduler, id, change))


def list_(workflow: str | None = None, /, *, paging: Paging = WHOLE, session: Given) -> Listing:
    """List the schedulers of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    """
    return NOUN.page(session, paging.query(selected(session, workflow), sorts=NOUN.sorts))


def get(*ids: str, session: Given) -> Record | Listing:
    """Show schedulers.

    Parameters
    ----------
    ids
        Ids of schedulers: `7`, `7,9` or `7-9`.
    """
    return NOUN.shown(session, ids)


def delete(*ids: str, yes: Yes = False, session: Given) -> Outcome:
    """Delete schedulers; jobs that are bound to one are free.

    Parameters
    ----------
    ids
        Ids of schedulers: `7`, `7,9` or `7-9`.
    yes
        Do not ask.
    """
    return NOUN.deleted(session, ids, yes=yes)


def scheduler_of(
    session: Session, workflow: WorkflowId, *, number: int | None, name: str | None
) -> SlurmScheduler:
    """The scheduler of a workflow that is meant: by id, by name, the only one, or the one that the user picks.

    Raises
    ------
    UsageError
        If there is none, or nobody says which.
    NotFound
        If the workflow has no such scheduler.
    """
    known = list(session.store().find(SlurmScheduler, Query(workflow=workflow)).items)
    if not known:
        raise UsageError(
            f"workflow {workflow} has no scheduler; make one with 'torc slurm create {workflow}'"
        )
    if number is not None or name is not None:
        for one in known:
            if (number is None or one.id == number) and (name is None or one.name == name):
                return one
        what = f"scheduler {number}" if number is not None else f"scheduler named '{name}'"
        raise NotFound(
            f"workflow {workflow} has no {what}{did_you_mean(name or '', [one.name for one in known])}"
        )
    if len(known) == 1:
        return known[0]
    listed = ", ".join(f"{one.id} '{one.name}'" for one in known)
    if not session.interactive:
        raise UsageError(
            f"workflow {workflow} has several schedulers: {listed}; pass --scheduler NAME or --scheduler-config-id ID"
        )
    sys.stderr.write(f"Which scheduler: {listed}? ")
    sys.stderr.flush()
    word = sys.stdin.readline().strip()
    for one in known:
        if word in (str(one.id), one.name):
            return one
    raise UsageError(f"'{word}' is none of them; nothing was changed")


def _named(name: str) -> str:
    if not name:
        raise UsageError("a scheduler has to have a name; pass --name NAME")
    return name
