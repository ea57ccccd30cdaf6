"""`torc resource-requirements`: what jobs need of each of their nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from cyclopts import App, Parameter

from torc_core.errors import BadValue, UsageError
from torc_core.given import Given
from torc_core.model import Requirement
from torc_core.model.resources import duration_seconds, memory_bytes
from torc_terminal.noun import Noun
from torc_terminal.options import Yes
from torc_terminal.output.answer import Listing, Outcome, Record, refuse_csv
from torc_terminal.output.cells import Column
from torc_terminal.output.records import requirement_item
from torc_terminal.paging import WHOLE, Paging
from torc_terminal.selector import workflow as selected

app = App(name="resource-requirements", help="What jobs need of each of their nodes.")

NOUN = Noun(
    record=Requirement,
    group="resource-requirements",
    one="resource requirement",
    many="resource requirements",
    item=requirement_item,
    columns=(
        Column(title="ID", key="id", right=True),
        Column(title="Name", key="name"),
        Column(title="CPUs", key="num_cpus", right=True),
        Column(title="GPUs", key="num_gpus", right=True),
        Column(title="Nodes", key="num_nodes", right=True),
        Column(title="Memory", key="memory", right=True),
        Column(title="Runtime", key="runtime", right=True),
    ),
    sorts={"runtime_seconds": "runtime_s", "runtime": "runtime_s", "memory": "memory_bytes"},
)


@app.command
def create(
    workflow: str | None = None,
    /,
    *,
    name: Annotated[str, Parameter(name=["--name", "-n"])],
    num_cpus: int = 1,
    num_gpus: int = 0,
    num_nodes: int = 1,
    memory: Annotated[str, Parameter(name=["--memory", "-m"])] = "1m",
    runtime: Annotated[str, Parameter(name=["--runtime", "-r"])] = "P0DT1M",
    session: Given,
) -> Record:
    """Add resource requirements to a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    name
        Name by which jobs refer to them.
    num_cpus
        CPUs on each node.
    num_gpus
        GPUs on each node.
    num_nodes
        Nodes; more than one reserves whole nodes.
    memory
        Memory on each node, such as `8g`.
    runtime
        Longest run time, ISO 8601, such as `PT30M`.
    """
    refuse_csv(session)
    if not name or name == "default":
        raise UsageError(f"resource requirements cannot be called '{name}'; 'default' is torc's own")
    fields = checked(
        num_cpus=num_cpus, num_gpus=num_gpus, num_nodes=num_nodes, memory=memory, runtime=runtime
    )
    wf = selected(session, workflow)
    return NOUN.told(session.store().add([changed(Requirement(workflow_id=wf, name=name), fields)])[0])


@app.command(name="list")
def list_(workflow: str | None = None, /, *, paging: Paging = WHOLE, session: Given) -> Listing:
    """List the resource requirements of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    """
    return NOUN.page(session, paging.query(selected(session, workflow), sorts=NOUN.sorts))


@app.command
def get(*ids: str, session: Given) -> Record | Listing:
    """Show resource requirements.

    Parameters
    ----------
    ids
        Ids of resource requirements: `7`, `7,9` or `7-9`.
    """
    return NOUN.shown(session, ids)


@app.command
def update(
    id: int,
    /,
    *,
    name: Annotated[str | None, Parameter(name=["--name", "-n"])] = None,
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    num_nodes: int | None = None,
    memory: Annotated[str | None, Parameter(name=["--memory", "-m"])] = None,
    runtime: Annotated[str | None, Parameter(name=["--runtime", "-r"])] = None,
    session: Given,
) -> Record:
    """Change resource requirements for every job that names them.

    Parameters
    ----------
    id
        Id of the resource requirements.
    name
        New name.
    num_cpus
        CPUs on each node.
    num_gpus
        GPUs on each node.
    num_nodes
        Nodes; more than one reserves whole nodes.
    memory
        Memory on each node, such as `8g`.
    runtime
        Longest run time, ISO 8601, such as `PT30M`.
    """
    refuse_csv(session)
    fields = checked(
        num_cpus=num_cpus, num_gpus=num_gpus, num_nodes=num_nodes, memory=memory, runtime=runtime
    )
    if name is not None:
        if not name or name == "default":
            raise UsageError(f"resource requirements cannot be called '{name}'; 'default' is torc's own")
        fields["name"] = name
    if not fields:
        raise UsageError("nothing to change; pass e.g. --memory 8g")
    return NOUN.told(session.store().change(Requirement, id, fields))


@app.command
def delete(
    *ids: str,
    yes: Yes = False,
    session: Given,
) -> Outcome:
    """Delete resource requirements.

    Parameters
    ----------
    ids
        Ids of resource requirements: `7`, `7,9` or `7-9`.
    yes
        Do not ask.
    """
    return NOUN.deleted(session, ids, yes=yes)


def checked(
    *,
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    num_nodes: int | None = None,
    memory: str | None = None,
    runtime: str | None = None,
    options: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """The fields of a requirement that were given, checked as in a spec (`workflow-spec.md` §6).

    Parameters
    ----------
    options
        What gave them, where it is not the option of that name.

    Raises
    ------
    BadValue
        If a number is too small, or memory or runtime cannot be read.
    """
    fields: dict[str, object] = {}
    names = options or {}
    for field, number, least in (
        ("num_cpus", num_cpus, 1),
        ("num_gpus", num_gpus, 0),
        ("num_nodes", num_nodes, 1),
    ):
        if number is None:
            continue
        if not least <= number < 2**31:
            name = names.get(field, f"--{field.replace('_', '-')}")
            raise BadValue(f"{name} '{number}' is out of range; it is at least {least}")
        fields[field] = number
    for field, text, read in (("memory", memory, memory_bytes), ("runtime", runtime, duration_seconds)):
        if text is None:
            continue
        try:
            read(text)
        except BadValue as error:
            raise (BadValue(f"{names[field]}: {error}") if field in names else error) from error
        fields[field] = text
    return fields


def changed(requirement: Requirement, fields: Mapping[str, object]) -> Requirement:
    """A requirement with checked fields set, and its amounts in bytes and seconds with them."""
    new: Requirement = replace(requirement, **fields)  # type: ignore[arg-type]  # `checked` keeps the types
    return replace(new, memory_bytes=memory_bytes(new.memory), runtime_s=duration_seconds(new.runtime))
