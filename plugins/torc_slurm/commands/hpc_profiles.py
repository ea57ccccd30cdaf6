"""`torc hpc list`, `detect`, `show` and `partitions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from torc_core.given import Given
from torc_core.model import Json
from torc_core.model.resources import duration_text, memory_text
from torc_slurm.profiles.configured import profiles
from torc_slurm.profiles.detection import here
from torc_slurm.profiles.model import Partition, Profile
from torc_slurm.profiles.reading import profile_for
from torc_terminal.options import Flag
from torc_terminal.output.answer import Listing, Report, refuse_csv
from torc_terminal.output.cells import Column, plain

LIST = (
    Column(title="Name", key="name"),
    Column(title="Display Name", key="display_name"),
    Column(title="Partitions", key="partitions", right=True),
    Column(title="Detected", key="detected", show=lambda item: "✓" if item["detected"] else ""),
    Column(title="Source", key="source"),
)


def _gpus(item: Mapping[str, Json]) -> str:
    if not item["gpus_per_node"]:
        return ""
    kind = f" {item['gpu_type']}" if item["gpu_type"] else ""
    memory = f" ({item['gpu_memory_gb']} GB)" if item["gpu_memory_gb"] else ""
    return f"{item['gpus_per_node']}{kind}{memory}"


def _nodes(item: Mapping[str, Json]) -> str:
    most, of_user = item["max_nodes"], item["max_nodes_per_user"]
    return ("" if most is None else str(most)) + ("" if of_user is None else f" ({of_user})")


def _notes(item: Mapping[str, Json]) -> str:
    notes = []
    if item["is_default"]:
        notes.append("default")
    if item["requires_explicit_request"]:
        notes.append("to be named")
    if isinstance(item["min_nodes"], int) and item["min_nodes"] > 1:
        notes.append(f"at least {item['min_nodes']} nodes")
    if item["gpus_on_some_nodes"]:
        notes.append("GPUs on some nodes")
    if item["local_disk_gb"]:
        notes.append(f"{item['local_disk_gb']} GB disk")
    features = item["features"]
    notes += [str(one) for one in features] if isinstance(features, list) else []
    guessed = item["guessed"]
    if isinstance(guessed, list) and guessed:
        notes.append(f"guessed: {', '.join(str(one) for one in guessed)}")
    return ", ".join(notes)


def _number(value: Json) -> int:
    return value if isinstance(value, int) else 0


PARTITIONS = (
    Column(title="Name", key="name"),
    Column(title="CPUs/Node", key="cpus_per_node", right=True),
    Column(
        title="Mem/Node",
        key="memory_mb",
        right=True,
        show=lambda item: memory_text(_number(item["memory_mb"]) * 1024**2),
    ),
    Column(
        title="Max Walltime",
        key="max_walltime_secs",
        right=True,
        show=lambda item: duration_text(_number(item["max_walltime_secs"])),
    ),
    Column(title="GPUs", key="gpus_per_node", show=_gpus),
    Column(title="Max nodes (user)", key="max_nodes", show=_nodes),
    Column(title="Shared", key="shared"),
    Column(title="Notes", key="description", show=_notes),
)


def partition_item(one: Partition) -> dict[str, Json]:
    """A partition as JSON has it."""
    found = {item.name: getattr(one, item.name) for item in fields(one)}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def list_(*, session: Given) -> Listing:
    """List the clusters that are known: yours, and those that torc knows by itself."""
    now = here(session.config)
    items: list[dict[str, Json]] = [
        {
            "name": one.name,
            "display_name": one.display_name,
            "partitions": len(one.partitions),
            "detected": now is not None and one.name == now.name,
            "source": one.source,
        }
        for one in profiles(session.config)
    ]
    return Listing(schema="torc.hpc.list/1", noun="profiles", items=items, columns=LIST)


def detect(*, session: Given) -> Report:
    """Say which cluster this is."""
    refuse_csv(session)
    found = here(session.config)
    if found is None:
        return Report(
            schema="torc.hpc.detect/1",
            data={"name": None, "display_name": None, "source": None},
            text="no profile matches; 'torc hpc generate' can make one",
            exit_code=1,
        )
    data: dict[str, Json] = {
        "name": found.name,
        "display_name": found.display_name,
        "source": found.source,
    }
    return Report(schema="torc.hpc.detect/1", data=data, text=plain(found.name))


def show(name: str, /, *, session: Given) -> Report:
    """Show what is known about a cluster.

    Parameters
    ----------
    name
        Of the profile; slurm is the cluster at hand.
    """
    refuse_csv(session)
    one = profile_for(session, name)
    now = here(session.config)
    items = [partition_item(partition) for partition in one.partitions]
    signs = _signs(one)
    data: dict[str, Json] = {
        "name": one.name,
        "display_name": one.display_name,
        "description": one.description,
        "source": one.source,
        "detected": now is not None and now.name == one.name,
        "detection": signs,
        "default_account": one.default_account,
        "charge_factor_cpu": one.charge_factor_cpu,
        "charge_factor_gpu": one.charge_factor_gpu,
        "internal_hostname": one.internal_hostname,
        "auto_route": one.auto_route,
        "metadata": dict(one.metadata),
    }
    lines = [f"{one.name}: {one.display_name} ({one.source})"]
    lines += [one.description] if one.description else []
    lines += [f"Known by: {', '.join(signs)}"] if signs else []
    lines += [f"Account: {one.default_account}"] if one.default_account else []
    lines.append(f"Charge: {one.charge_factor_cpu:g} per node-hour, {one.charge_factor_gpu:g} with GPUs")
    lines += [f"Inner host name: {one.internal_hostname}"] if one.internal_hostname else []
    lines += ["Slurm finds the partition by the limits of a job"] if one.auto_route else []
    return Report(
        schema="torc.hpc.show/1",
        data={**data, "partitions": items},
        text="\n".join(plain(line) for line in [*lines, ""]),
        rows=items,
        columns=PARTITIONS,
        noun="partitions",
    )


def partitions(
    name: str | None = None,
    /,
    *,
    gpu: Flag = False,
    cpu: Flag = False,
    shared: Flag = False,
    session: Given,
) -> Listing:
    """List the partitions of a cluster.

    Parameters
    ----------
    name
        Of the profile; normally that of this host, else what Slurm says here.
    gpu
        Only those with GPUs.
    cpu
        Only those without GPUs.
    shared
        Only those where allocations may share nodes.
    """
    one = profile_for(session, name)
    found = [
        partition
        for partition in one.partitions
        if not (gpu and not partition.gpus_per_node)
        and not (cpu and partition.gpus_per_node and not partition.gpus_on_some_nodes)
        and not (shared and not partition.shared)
    ]
    return Listing(
        schema="torc.hpc.partitions/1",
        noun="partitions",
        items=[partition_item(partition) for partition in found],
        columns=PARTITIONS,
        extra={"profile": one.name},
    )


def _signs(one: Profile) -> list[str]:
    signs = []
    for sign in one.signs:
        if sign.env is not None:
            signs.append("=".join(sign.env))
        if sign.hostname is not None:
            signs.append(f"host name {sign.hostname}")
    return signs
