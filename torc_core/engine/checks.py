"""What the fields of each kind of record have to be (`wire.md` §3 and §4, `promises.md` §8.1, `security.md` §8)."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields as declared
from dataclasses import replace
from typing import Any

from torc_core.engine.retry import checked_rules
from torc_core.engine.spawning import LINEAGE_VARIABLE
from torc_core.errors import BadValue, Invalid
from torc_core.model import (
    AccessGroup,
    FailureHandler,
    File,
    GroupLink,
    Job,
    JobStatus,
    LocalScheduler,
    Membership,
    NewJob,
    Requirement,
    Result,
    RoCrateEntity,
    SlurmScheduler,
    Token,
    UserData,
    Workflow,
)
from torc_core.model.execution import misplaced
from torc_core.model.resources import duration_seconds, memory_bytes, walltime_seconds

LONGEST_NAME = 255
LONGEST_TEXT = 1024**2
MOST_DATA = 2 * 1024**2
"""Bytes of a user data value, written as JSON."""
MOST_ENV, MOST_ENV_BYTES = 1_000, 128 * 1024
OWN_DATA = "__torc_"
"""How the names of user data begin that torc writes itself."""
MANAGED = ("partition", "nodes", "walltime", "time", "mem", "gres", "name", "job-name")
"""Slurm options that have fields of their own or are set by torc."""
ACCESS_CLASSES = ("read", "edit", "run", "operate", "own")
SCHEDULER_FIELDS: Mapping[str, Any] = {
    "account": None, "nodes": 1, "walltime": "01:00:00", "partition": None, "qos": None, "gres": None,
    "mem": None, "tmp": None, "ntasks_per_node": None, "extra": None, "serialize_allocations": False,
    "auto_top_up": True, "keep_queued": False,
}  # fmt: skip
"""The fields of a Slurm scheduler, each with what stands for it when it is not given."""

_TEXTS: dict[type[Any], tuple[str, ...]] = {}
"""PERF: the fields that hold text, by kind; a hundred thousand records are checked in one call."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_GROUP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LIST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(,[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
_AMOUNT = re.compile(r"[0-9]+[KMGTkmgt]?")
_SLURM = {
    "account": _LIST, "partition": _LIST, "qos": _LIST, "gres": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_:.,=()*-]*"),
    "mem": _AMOUNT, "tmp": _AMOUNT, "name": re.compile(r"[A-Za-z0-9_.-]{1,64}"),
}  # fmt: skip
_REMEDIES = {
    "gres": "write e.g. gpu:2", "mem": "write e.g. 180G", "tmp": "write e.g. 180G", "name": "use up to 64 letters, digits and _.-",
}  # fmt: skip
_ENDS = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.TERMINATED})


def checked(record: Any) -> Any:
    """A record whose fields are what they have to be, with what follows from them.

    Raises
    ------
    Invalid
        The sentence names the field and the value, `details` as well.
    """
    check_texts(record)
    check = _CHECKS.get(type(record))
    return record if check is None else check(record)


def wrong(field: str, value: object, sentence: str) -> Invalid:
    """What is wrong with the value of a field."""
    return Invalid(sentence, details={"field": field, "value": value})


def check_texts(record: Any) -> None:
    """Refuse text that no store can keep (`promises.md` Q12)."""
    for field in _text_fields(type(record)):
        value = getattr(record, field)
        if value is not None and (not value.isascii() or "\0" in value):
            check_text(field, value)


def check_text(field: str, value: str) -> None:
    """Refuse text that holds a NUL or is not valid Unicode."""
    if "\0" in value:
        raise wrong(field, value.replace("\0", "\\0"), f"{field} holds a NUL character; take it out")
    try:
        value.encode()
    except UnicodeEncodeError:
        shown = value.encode(errors="replace").decode()
        raise wrong(
            field, shown, f"{field} {shown[:40]!r} is not valid Unicode; remove the lone surrogates"
        ) from None


def _text_fields(kind: type[Any]) -> tuple[str, ...]:
    if kind not in _TEXTS:
        _TEXTS[kind] = tuple(
            field.name for field in declared(kind) if str(field.type) in ("str", "str | None")
        )
    return _TEXTS[kind]


def check_name(noun: str, name: str) -> None:
    """Refuse names that are empty, too long or hold control characters."""
    if not name:
        raise wrong("name", name, f"a {noun} needs a name, and the one given is empty")
    if len(name) > LONGEST_NAME:
        sentence = f"name {name[:40]!r}... has {len(name)} characters; the limit is {LONGEST_NAME}"
        raise wrong("name", name[:LONGEST_NAME], sentence)
    if _CONTROL.search(name):
        raise wrong("name", name, f"name {name!r} holds a control character; take it out")


def check_env(env: Mapping[str, str] | None) -> None:
    """Refuse environments with reserved or impossible names, or that are too large."""
    if not env:
        return
    size = 0
    for key, value in env.items():
        if not _ENV_NAME.fullmatch(key):
            raise wrong(
                "env", key, f"{key!r} is no name of an environment variable; use letters, digits and _"
            )
        if key.startswith("TORC_"):
            raise wrong("env", key, f"environment variable {key!r} is reserved; choose a name without TORC_")
        if not isinstance(value, str):
            raise wrong("env", key, f"environment variable {key!r} is to be text, not {value!r}")
        check_text(f"env.{key}", value)
        size += len(key) + len(value) + 2
    if len(env) > MOST_ENV:
        raise wrong("env", len(env), f"the environment has {len(env)} entries; the limit is {MOST_ENV}")
    if size > MOST_ENV_BYTES:
        raise wrong("env", size, f"the environment is {size // 1024} KiB long; the limit is 128 KiB")


def check_modes(config: Mapping[str, Any] | None) -> None:
    """Refuse fields of the other mode of execution; what `auto` will be is only known on the nodes."""
    config = config or {}
    for field, sentence in misplaced(config, str(config.get("mode") or "direct")):
        raise wrong(f"execution_config.{field}", config[field], sentence)


def number(record: Any, field: str, least: int, most: int = 2**63 - 1) -> None:
    """Refuse a number that is out of range; None is none."""
    value = getattr(record, field)
    if value is not None and value >= 2**63:
        raise wrong(field, value, f"{field} {value} is beyond 64 bits; write a number up to 2^63 - 1")
    if value is not None and not least <= value <= most:
        raise wrong(field, value, f"{field} {value} is out of range; it is a number from {least} to {most}")


def choice(field: str, value: object, allowed: Sequence[str]) -> None:
    """Refuse a value that is none of those allowed."""
    if value not in allowed:
        raise wrong(field, value, f"{field} {value!r} is not known; choose from {', '.join(allowed)}")


def _measure(field: str, text: str, read: Callable[[str], int]) -> int:
    try:
        return read(text)
    except BadValue as error:
        raise wrong(field, text, str(error)) from error


def _workflow(one: Workflow) -> Workflow:
    check_name("workflow", one.name)
    if not one.user:
        raise wrong("user", one.user, "a workflow needs an owner, and the user given is empty")
    check_env(one.env)
    choice("api_access", one.api_access, ("none", "read", "edit"))
    for field in ("retry_on_node_loss", "compute_node_wait_for_new_jobs_seconds",
                  "compute_node_min_time_for_new_jobs_seconds", "compute_node_expiration_buffer_seconds"):  # fmt: skip
        number(one, field, 0)
    # Leases are counted in milliseconds of 64 bits, and no runner could join with a longer one.
    number(one, "compute_node_wait_for_healthy_database_minutes", 1, 2**31 - 1)
    return one


def _job(one: Any) -> Any:
    check_name("job", one.name)
    if not one.command:
        raise wrong("command", one.command, f"job {one.name!r} needs a command, and the one given is empty")
    for field in ("command", "invocation_script"):
        if len(getattr(one, field) or "") > LONGEST_TEXT:
            raise wrong(field, one.name, f"the {field} of job {one.name!r} is longer than 1 MiB")
    number(one, "priority", 0)
    # The variable of its lineage is the store's own word about a job that another has added (`engine.md` §11).
    lineage = getattr(one, "lineage", None)
    check_env(
        {k: v for k, v in (one.env or {}).items() if lineage is None or (k, v) != (LINEAGE_VARIABLE, lineage)}
    )
    return one


def _file(one: File) -> File:
    for field in ("name", "path"):
        if not getattr(one, field):
            raise wrong(field, "", f"a file needs a {field}, and the one given is empty")
    number(one, "size", 0)
    return one


def _user_data(one: UserData) -> UserData:
    check_name("user data record", one.name)
    if isinstance(one.data, str | list | tuple | Mapping) and len(text := json.dumps(one.data)) > MOST_DATA:
        sentence = f"the data of {one.name!r} is {len(text) / 1024**2:.1f} MiB long; the limit is 2 MiB"
        raise wrong("data", one.name, sentence)
    return one


def _requirement(one: Requirement) -> Requirement:
    check_name("resource requirement", one.name)
    for field, least in (("num_cpus", 0), ("num_gpus", 0), ("num_nodes", 1)):
        number(one, field, least, 2**31 - 1)
    return replace(
        one,
        memory_bytes=_measure("memory", one.memory, memory_bytes),
        runtime_s=_measure("runtime", one.runtime, duration_seconds),
    )


def _handler(one: FailureHandler) -> FailureHandler:
    check_name("failure handler", one.name)
    return replace(one, rules=checked_rules(one.rules))


def _slurm(one: SlurmScheduler) -> SlurmScheduler:
    for field in one.fields:
        if field not in SCHEDULER_FIELDS:
            known = ", ".join(SCHEDULER_FIELDS)
            raise wrong(
                field, one.fields[field], f"a Slurm scheduler has no field {field!r}; choose from {known}"
            )
    given = {**SCHEDULER_FIELDS, **{key: value for key, value in one.fields.items() if value is not None}}
    if not given["account"]:
        raise wrong("account", None, "a Slurm scheduler needs an account")
    for field, value in (("name", one.name or None), *given.items()):
        if (
            field in _SLURM
            and value is not None
            and not (isinstance(value, str) and _SLURM[field].fullmatch(value))
        ):
            remedy = _REMEDIES.get(field, "use letters, digits and _.+-")
            raise wrong(field, value, f"{field} {value!r} cannot be passed to Slurm; {remedy}")
    for field in ("nodes", "ntasks_per_node"):
        value = given[field]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise wrong(field, value, f"{field} {value!r} is out of range; it is a number of at least 1")
    for field in ("serialize_allocations", "auto_top_up", "keep_queued"):
        if not isinstance(given[field], bool):
            raise wrong(field, given[field], f"{field} {given[field]!r} is neither true nor false")
    if not isinstance(given["walltime"], str) or not walltime_seconds(given["walltime"]):
        sentence = f'walltime {given["walltime"]!r} is not a time; write "D-HH:MM:SS", "HH:MM:SS", "MM:SS" or minutes'
        raise wrong("walltime", given["walltime"], sentence)
    if given["extra"] is not None:
        _extra(given["extra"], given["serialize_allocations"])
    return replace(one, fields=given)


def _extra(extra: str, serialized: bool) -> None:
    """The further options of a Slurm scheduler: long ones only, and none that torc sets itself."""
    if not isinstance(extra, str) or _CONTROL.search(extra):
        raise wrong("extra", extra, "extra holds a control character; take it out")
    try:
        words = shlex.split(extra)
    except ValueError as error:
        raise wrong("extra", extra, f"extra {extra!r} cannot be split into words: {error}") from error
    for word in words:
        option = word.removeprefix("--").partition("=")[0].lower().replace("_", "-")
        if not word.startswith("--") and (word.startswith("-") or word is words[0]):
            raise wrong("extra", extra, f"extra takes long options only, got {word!r}")
        if word.startswith("--") and option in MANAGED:
            raise wrong("extra", extra, f"extra may not hold {word!r}: torc sets --{option} itself")
        if serialized and word.startswith("--") and option == "dependency":
            raise wrong("extra", extra, "serialize_allocations and --dependency cannot be combined")


def _local(one: LocalScheduler) -> LocalScheduler:
    if one.memory is not None:
        _measure("memory", one.memory, memory_bytes)
    number(one, "num_cpus", 0)
    return one


def _entity(one: RoCrateEntity) -> RoCrateEntity:
    for field in ("entity_id", "entity_type"):
        if not getattr(one, field):
            raise wrong(field, "", f"an RO-Crate entity needs an {field}, and the one given is empty")
    if not isinstance(one.metadata, Mapping):
        raise wrong("metadata", None, "the metadata of an RO-Crate entity is a JSON object")
    return one


def _result(one: Result) -> Result:
    if one.status not in _ENDS and one.status is not JobStatus.PENDING_FAILED:
        raise wrong(
            "status", one.status.label, f"status {one.status.label!r} is not one in which an attempt ends"
        )
    if one.status is JobStatus.COMPLETED and one.return_code:
        sentence = f"return_code {one.return_code} does not go with status 'completed', which has 0"
        raise wrong("return_code", one.return_code, sentence)
    number(one, "run_id", 0)
    number(one, "attempt_id", 1)
    if one.exec_minutes < 0:
        raise wrong("exec_minutes", one.exec_minutes, f"exec_minutes {one.exec_minutes} is negative")
    return one


def _group(one: AccessGroup) -> AccessGroup:
    if not _GROUP_NAME.fullmatch(one.name):
        sentence = f"group name {one.name!r} is not allowed; begin with a letter or digit, then up to 63 of A-Z a-z 0-9 . _ -"
        raise wrong("name", one.name, sentence)
    return one


def _membership(one: Membership) -> Membership:
    if not one.user_name:
        raise wrong("user_name", "", "a membership needs a user, and the name given is empty")
    one = replace(one, role=one.role or "member")
    choice("role", one.role, ("member", "admin"))
    return one


def _link(one: GroupLink) -> GroupLink:
    choice("level", one.level, ("full", "read"))
    return one


def _token(one: Token) -> Token:
    for field in ("key", "digest", "user"):
        if not getattr(one, field):
            raise wrong(field, "", f"a token needs a {field}, and the one given is empty")
    choice("access_class", one.access_class, ACCESS_CLASSES)
    return one


_CHECKS: Mapping[type[Any], Callable[[Any], Any]] = {
    Workflow: _workflow,
    Job: _job,
    NewJob: _job,
    File: _file,
    UserData: _user_data,
    Requirement: _requirement,
    FailureHandler: _handler,
    SlurmScheduler: _slurm,
    LocalScheduler: _local,
    RoCrateEntity: _entity,
    Result: _result,
    AccessGroup: _group,
    Membership: _membership,
    GroupLink: _link,
    Token: _token,
}
"""By kind of record; a kind without an entry is kept as it comes."""
