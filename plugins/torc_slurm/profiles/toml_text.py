"""Profiles as configuration text, which people read and correct; what was guessed is marked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields

from torc_slurm.profiles.live import NodeType, Seen
from torc_slurm.profiles.model import Partition, Profile

_NEVER = ("guessed",)
_ALWAYS = ("name", "cpus_per_node", "memory_mb", "max_walltime_secs")


def text_of(profile: Profile, seen: Sequence[Seen] = ()) -> str:
    """The tables `[client.hpc.custom_profiles.NAME]` of a profile.

    Parameters
    ----------
    seen
        Where it is from: partitions of several kinds of nodes get a comment for each kind.
    """
    kinds = {one.partition.name: one.types for one in seen}
    table = f"client.hpc.custom_profiles.{_key(profile.name)}"
    lines = [f"[{table}]", *_profile(profile)]
    for one in profile.partitions:
        lines += ["", *_kinds(kinds.get(one.name, ())), f"[[{table}.partitions]]", *_partition(one)]
    return "\n".join(lines) + "\n"


def _profile(profile: Profile) -> Iterator[str]:
    yield f"display_name = {_value(profile.display_name or profile.name)}"
    if profile.description:
        yield f"description = {_value(profile.description)}"
    for sign in profile.signs:
        if sign.env is not None:
            yield f"detect_env_var = {_value('='.join(sign.env))}"
        if sign.hostname is not None:
            yield f"detect_hostname = {_value(sign.hostname)}"
    if profile.default_account:
        yield f"default_account = {_value(profile.default_account)}"
    yield f"charge_factor_cpu = {_value(profile.charge_factor_cpu)}"
    yield f"charge_factor_gpu = {_value(profile.charge_factor_gpu)}"
    if profile.internal_hostname:
        yield f"internal_hostname = {_value(profile.internal_hostname)}"
    if profile.auto_route:
        yield "auto_route = true"


def _partition(partition: Partition) -> Iterator[str]:
    for item in fields(partition):
        value = getattr(partition, item.name)
        if item.name in _NEVER or (item.name not in _ALWAYS and (value == item.default or not value)):
            continue
        yield f"{item.name} = {_value(value)}" + ("  # guessed" if item.name in partition.guessed else "")


def _kinds(kinds: Sequence[NodeType]) -> Iterator[str]:
    if len({(one.cpus, one.memory_mb, one.gpus) for one in kinds}) < 2:
        return
    yield "# These nodes differ; what holds for all of them stands below:"
    for one in kinds:
        gpus = f", {one.gpus} GPUs{f' ({one.gpu_type})' if one.gpu_type else ''}" if one.gpus else ""
        yield f"#   {one.count} with {one.cpus} CPUs, {one.memory_mb} MB{gpus}"


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else _value(name)


def _value(value: object) -> str:
    """A TOML value; JSON writes text, figures and lists of them alike."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, tuple):
        value = list(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
