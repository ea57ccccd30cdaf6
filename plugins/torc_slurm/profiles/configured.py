"""Profiles that the configuration adds or changes (`cli.md` §7.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torc_core.errors import InvalidConfig, did_you_mean
from torc_slurm.profiles.builtin import BUILT_IN, OTHER_NAMES
from torc_slurm.profiles.model import Partition, Profile, Sign

if TYPE_CHECKING:
    from torc_core.config import Config

CUSTOM, OVERRIDES = "client.hpc.custom_profiles", "client.hpc.profile_overrides"

Read = Callable[[object], Any]


def profiles(config: Config) -> Sequence[Profile]:
    """Every profile that is known here, the user's own before the built-in ones, changes applied.

    Raises
    ------
    InvalidConfig
        Naming the key and what is wrong with it.
    """
    hpc = config.client.hpc
    custom = [_custom(name, table, _where(config, CUSTOM)) for name, table in hpc.custom_profiles.items()]
    names = {one.name for one in custom}
    known = [*custom, *(one for one in BUILT_IN if one.name not in names)]
    for name in hpc.profile_overrides:
        if name not in {one.name for one in known}:
            raise InvalidConfig(
                f"{_where(config, OVERRIDES)}{OVERRIDES}.{name}: there is no profile '{name}' to change"
                f"{did_you_mean(name, [one.name for one in known])}"
            )
    return [
        _overridden(one, hpc.profile_overrides[one.name], _where(config, OVERRIDES))
        if one.name in hpc.profile_overrides
        else one
        for one in known
    ]


def named(known: Sequence[Profile], name: str) -> Profile | None:
    """The profile of a name, or of a display name; None: there is none."""
    wanted = OTHER_NAMES.get(name, name)
    return next((one for one in known if one.name == wanted or one.display_name == name), None)


def _where(config: Config, key: str) -> str:
    entry = config.given(key)
    return f"{entry.source}: " if entry else ""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text in quotes")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError("a number of at least 0")
    return float(value)


def _count(low: int) -> Read:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise ValueError(f"a whole number of at least {low}")
        return value

    return read


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - as the readers beside it
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError("a list of texts")
    return tuple(value)


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("a table")  # noqa: TRY004 - as the readers beside it
    return dict(value)


PARTITION: Mapping[str, Read] = {
    "name": _text,
    "description": _text,
    "cpus_per_node": _count(1),
    "memory_mb": _count(1),
    "max_walltime_secs": _count(60),
    "max_nodes": _count(1),
    "max_nodes_per_user": _count(1),
    "min_nodes": _count(1),
    "gpus_per_node": _count(0),
    "gpu_type": _text,
    "gpu_memory_gb": _count(1),
    "gpus_on_some_nodes": _switch,
    "local_disk_gb": _count(0),
    "shared": _switch,
    "requires_explicit_request": _switch,
    "default_qos": _text,
    "features": _texts,
    "is_default": _switch,
}
"""The keys of a partition."""

REQUIRED = ("name", "cpus_per_node", "memory_mb", "max_walltime_secs")

PROFILE: Mapping[str, Read] = {
    "display_name": _text,
    "description": _text,
    "detect_env_var": _text,
    "detect_hostname": _text,
    "default_account": _text,
    "charge_factor_cpu": _number,
    "charge_factor_gpu": _number,
    "internal_hostname": _text,
    "auto_route": _switch,
    "metadata": _table,
    "partitions": lambda value: value,
}
"""The keys of a profile."""


def _custom(name: str, table: Mapping[str, Any], where: str) -> Profile:
    path = f"{CUSTOM}.{name}"
    values = _values(table, PROFILE, path, where)
    partitions = values.pop("partitions", [])
    if not isinstance(partitions, list) or not partitions:
        raise InvalidConfig(f"{where}{path}.partitions must be at least one table [[{path}.partitions]]")
    signs = _signs(values, path, where)
    made = [_partition(one, f"{path}.partitions[{k}]", where) for k, one in enumerate(partitions)]
    twice = [one.name for k, one in enumerate(made) if one.name in {two.name for two in made[:k]}]
    if twice:
        raise InvalidConfig(f"{where}{path}.partitions: the name '{twice[0]}' stands there twice")
    return Profile(
        name=name, display_name=values.pop("display_name", name), signs=signs, partitions=made, **values
    )


def _signs(values: dict[str, Any], path: str, where: str) -> Sequence[Sign]:
    signs = []
    if (variable := values.pop("detect_env_var", None)) is not None:
        key, equal, value = variable.partition("=")
        if not equal or not key:
            raise InvalidConfig(f"{where}{path}.detect_env_var must be NAME=VALUE, not '{variable}'")
        signs.append(Sign(env=(key, value)))
    if (pattern := values.pop("detect_hostname", None)) is not None:
        import re

        try:
            re.compile(pattern)
        except re.error as error:
            raise InvalidConfig(
                f"{where}{path}.detect_hostname is not a regular expression: {error}"
            ) from error
        signs.append(Sign(hostname=pattern))
    return signs


def _partition(table: object, path: str, where: str) -> Partition:
    if not isinstance(table, Mapping):
        raise InvalidConfig(f"{where}{path} must be a table")
    values = _values(table, PARTITION, path, where)
    for key in REQUIRED:
        if key not in values:
            raise InvalidConfig(f"{where}{path}: '{key}' is missing")
    return Partition(**values)


def _overridden(profile: Profile, table: Mapping[str, Any], where: str) -> Profile:
    path = f"{OVERRIDES}.{profile.name}"
    values = _values(table, PROFILE, path, where)
    changes = values.pop("partitions", {})
    if not isinstance(changes, Mapping):
        raise InvalidConfig(f"{where}{path}.partitions must be tables [{path}.partitions.NAME]")
    if signs := _signs(values, path, where):
        values["signs"] = signs
    partitions = {one.name: one for one in profile.partitions}
    for name, change in changes.items():
        inner = f"{path}.partitions.{name}"
        if not isinstance(change, Mapping):
            raise InvalidConfig(f"{where}{inner} must be a table")
        if name in partitions:
            partitions[name] = replace(partitions[name], **_values(change, PARTITION, inner, where))
        else:
            partitions[name] = _partition({"name": name, **change}, inner, where)
    return replace(profile, partitions=tuple(partitions.values()), **values)


def _values(table: Mapping[str, Any], keys: Mapping[str, Read], path: str, where: str) -> dict[str, Any]:
    values = {}
    for key, value in table.items():
        read = keys.get(key)
        if read is None:
            raise InvalidConfig(f"{where}unknown key '{path}.{key}'{did_you_mean(key, keys)}")
        try:
            values[key] = read(value)
        except ValueError as error:
            raise InvalidConfig(f"{where}'{path}.{key}' must be {error}, not {value!r}") from None
    return values
