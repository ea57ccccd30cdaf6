"""What a cluster says about itself: the answers of `sinfo` and `scontrol` become a profile. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torc_core.model.resources import walltime_seconds
from torc_core.record import record
from torc_slurm.profiles.model import Partition, Profile, Sign

SINFO = "%P|%c|%m|%l|%G|%D|%f"
"""The format in which `sinfo -e -h -o` is asked: one line for each node type of each partition."""

LONGEST = 365 * 86_400
"""Seconds that stand for no limit."""

GUESSED_GPUS = 4
"""GPUs of a node of which only the name of its partition says that it has any."""

_GRES = re.compile(r"gpu(?::([A-Za-z][\w.-]*))?:(\d+)(?:\(|,|$)")
_GPU_NAME = re.compile(r"h100|a100|v100|a40|a30|l40", re.IGNORECASE)
_NOTHING = ("(null)", "N/A", "NONE", "none", "")


@record(frozen=True, slots=True, kw_only=True)
class NodeType:
    """Equal nodes of a partition."""

    cpus: int
    memory_mb: int
    gpus: int = 0
    gpu_type: str | None = None
    count: int = 1
    features: Sequence[str] = ()


@record(frozen=True, slots=True, kw_only=True)
class Seen:
    """A partition of a live cluster and the kinds of nodes it is made of."""

    partition: Partition
    types: Sequence[NodeType]


def partitions(sinfo: str, scontrol: str, *, skip_standby: bool = False) -> Sequence[Seen]:
    """The partitions that are up, in the order of `sinfo`; of nodes of several types the smallest counts.

    Parameters
    ----------
    sinfo
        What `sinfo -e -h -o SINFO` printed.
    scontrol
        What `scontrol show partition -o` printed.
    skip_standby
        Leave out those whose names end in `-stdby`.
    """
    types: dict[str, list[NodeType]] = {}
    walls: dict[str, str] = {}
    for line in sinfo.splitlines():
        parts = [part.strip() for part in line.split("|", 6)]
        if len(parts) != 7 or not parts[0]:
            continue
        name = parts[0].rstrip("*")
        if skip_standby and name.endswith("-stdby"):
            continue
        gpus, kind = _gpus(parts[4])
        types.setdefault(name, []).append(
            NodeType(
                cpus=max(1, _whole(parts[1])),
                memory_mb=max(1, _whole(parts[2])),
                gpus=gpus,
                gpu_type=kind,
                count=_whole(parts[5]),
                features=[] if parts[6] in _NOTHING else parts[6].split(","),
            )
        )
        walls[name] = parts[3]
    told = _told(scontrol)
    return [
        Seen(partition=_partition(name, kinds, walls[name], told.get(name, {})), types=kinds)
        for name, kinds in types.items()
        if _open(told.get(name, {}))
    ]


def _open(told: Mapping[str, str]) -> bool:
    """Whether a partition takes and starts jobs of users."""
    return told.get("State", "UP").upper() == "UP" and told.get("RootOnly", "NO").upper() != "YES"


def profile(
    seen: Sequence[Seen],
    *,
    name: str,
    display_name: str | None = None,
    domain: str | None = None,
    account: str | None = None,
) -> Profile:
    """A profile made of what was seen.

    Parameters
    ----------
    domain
        Of the host: `hpc.example.org`; hosts below it are of this cluster.
    """
    return Profile(
        name=name,
        display_name=display_name or name,
        description="As the cluster describes itself.",
        signs=() if domain is None else (Sign(hostname=rf".*\.{re.escape(domain)}"),),
        default_account=account,
        partitions=[one.partition for one in seen],
        source="live",
    )


def _partition(name: str, kinds: Sequence[NodeType], wall: str, told: Mapping[str, str]) -> Partition:
    gpus = min((one.gpus for one in kinds if one.gpus), default=0)
    gpu_type = next((one.gpu_type for one in kinds if one.gpu_type), None)
    guessed: list[str] = []
    if not gpus and "gpu" in name.lower() and (model := _GPU_NAME.search(name)):
        gpus, gpu_type, guessed = GUESSED_GPUS, model[0].lower(), ["gpus_per_node", "gpu_type"]
    over = told.get("OverSubscribe", "NO").upper()
    total = sum(one.count for one in kinds)
    most = _whole(told.get("MaxNodes", ""))
    qos = told.get("QoS", "")
    walltime = told.get("MaxTime") or wall
    features = [one for one in kinds[0].features if all(one in kind.features for kind in kinds)]
    return Partition(
        name=name,
        cpus_per_node=min(one.cpus for one in kinds),
        memory_mb=min(one.memory_mb for one in kinds),
        max_walltime_secs=_seconds(walltime),
        max_nodes=min(most, total) if most else total or None,
        min_nodes=max(1, _whole(told.get("MinNodes", ""))),
        gpus_per_node=gpus,
        gpu_type=gpu_type,
        gpus_on_some_nodes=any(one.gpus for one in kinds) and not all(one.gpus for one in kinds),
        shared=over.startswith(("YES", "FORCE")) or "shared" in name.lower(),
        default_qos=None if qos in _NOTHING else qos,
        features=features,
        is_default=told.get("Default", "").upper() == "YES",
        guessed=guessed,
    )


def of_type(seen: Seen, kind: NodeType) -> Partition:
    """The partition as it would be if all its nodes were of one type."""
    return replace(
        seen.partition,
        cpus_per_node=kind.cpus,
        memory_mb=kind.memory_mb,
        gpus_per_node=kind.gpus,
        gpu_type=kind.gpu_type,
        gpus_on_some_nodes=False,
        max_nodes=kind.count,
        guessed=(),
    )


def _told(scontrol: str) -> Mapping[str, Mapping[str, str]]:
    """Name of each partition to what `scontrol` says of it."""
    found = {}
    for line in scontrol.splitlines():
        fields = dict(part.split("=", 1) for part in line.split() if "=" in part)
        if "PartitionName" in fields:
            found[fields["PartitionName"]] = fields
    return found


def _gpus(gres: str) -> tuple[int, str | None]:
    """GPUs of a node and their type, from its generic resources: `gpu:a1:2(S:0-1)`."""
    pieces = list(_GRES.finditer(gres.lower()))
    kinds = [piece[1] for piece in pieces if piece[1]]
    return sum(int(piece[2]) for piece in pieces), kinds[0] if kinds else None


def _whole(text: str) -> int:
    """A figure, its suffix `+` left out; 0: it is none."""
    digits = text.rstrip("+")
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _seconds(text: str) -> int:
    if text.upper() in ("INFINITE", "UNLIMITED", "NONE", "N/A"):
        return LONGEST
    return walltime_seconds(text) or LONGEST
