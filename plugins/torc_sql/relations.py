"""What jobs read, write and wait for: lists become sets, sets are shared, and are derived anew when something changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from torc_core.engine.checks import wrong
from torc_core.engine.release import recount
from torc_core.engine.runs import blockers, cycle, digest
from torc_core.errors import Invalid
from torc_core.model import InputKind, JobId, Source
from torc_sql.change import Change
from torc_sql.rows import STATUSES

_AT_ONCE = 10_000
"""Ids that one statement is asked about."""
TABLES = {
    "depends_on": ("job", "KNOWN_JOB"),
    "input_files": ("file", "KNOWN_FILE"),
    "output_files": ("file", "KNOWN_FILE"),
    "input_user_data": ("user data record", "KNOWN_USER_DATA"),
    "output_user_data": ("user data record", "KNOWN_USER_DATA"),
    "requirement_id": ("resource requirement", "KNOWN_RESOURCE_REQUIREMENTS"),
    "scheduler_id": ("Slurm scheduler", "KNOWN_SLURM_SCHEDULER"),
    "failure_handler_id": ("failure handler", "KNOWN_FAILURE_HANDLER"),
}
"""Fields of a job that refer to other records: what they are called, and how to ask which of them are there."""


def check(change: Change, wanted: Mapping[str, Iterable[Any]]) -> dict[str, dict[int, int]]:
    """Refuse relations to what the workflow does not have; `wanted`: by field what one job or many refer to.

    Returns
    -------
    dict
        By field the ids that are named; for `depends_on` with the number of the status.

    Raises
    ------
    Invalid
        Naming the first of them.
    """
    known: dict[str, dict[int, int]] = {}
    for name, (noun, statement) in TABLES.items():
        named: dict[int, None] = {}
        for value in wanted.get(name, ()):
            if isinstance(value, int):
                named[value] = None
            else:
                named.update(dict.fromkeys(value))
        ids = list(named)
        known[name] = {}
        for at in range(0, len(ids), _AT_ONCE):
            some = json.dumps(ids[at : at + _AT_ONCE])
            known[name].update(change.tx.rows(statement, wf_=change.wf, jobs_=some))
        if len(known[name]) < len(ids):
            missing = next(id for id in ids if id not in known[name])
            raise wrong(name, missing, f"workflow {change.wf} has no {noun} {missing}")
    return known


def count(statuses: Mapping[int, int], members: Iterable[int]) -> tuple[int, int]:
    """Open and bad members of a set, by the numbers of their statuses."""
    return recount(STATUSES[statuses[job]] for job in members)


def relate(
    change: Change,
    job: JobId,
    *,
    depends_on: Sequence[int] | None = None,
    input_files: Sequence[int] | None = None,
    output_files: Sequence[int] | None = None,
    input_user_data: Sequence[int] | None = None,
    output_user_data: Sequence[int] | None = None,
) -> None:
    """Set relations of a job; None leaves them. Those by files and user data count from the next initialisation."""
    tx, wf = change.tx, change.wf
    if depends_on is not None:
        _drop_uses(change, job, Source.EXPLICIT)
        if depends_on:
            use(change, job, group(change, sorted(set(depends_on))), Source.EXPLICIT)
    for kind, items in ((InputKind.FILE, input_files), (InputKind.USER_DATA, input_user_data)):
        if items is not None:
            tx.run("DROP_INPUTS", job_=job, kind_=kind.value)
            if items:
                tx.many("INSERT_INPUT_USE", [(job, _input_set(change, kind, sorted(set(items))), wf)])
    for table, items in (("JOB_OUTPUT_FILE", output_files), ("JOB_OUTPUT_USER_DATA", output_user_data)):
        if items is not None:
            tx.run(f"DROP_{table}", job_=job)
            tx.many(f"INSERT_{table}", [(job, item, wf) for item in dict.fromkeys(items)])
    if any(items is not None for items in (input_files, output_files, input_user_data, output_user_data)):
        tx.run("UNDERIVE", wf_=wf)
    recount_waiter(change, job)


def group(change: Change, members: Sequence[int]) -> int:
    """The set with these members, ascending; made, and counted, if there is none."""
    tx, key = change.tx, digest(members)
    row = tx.row("DEP_SET_OF", wf_=change.wf, digest_=key)
    if row is not None:
        return int(row[0])
    id = tx.ids("dep_set", 1)
    remaining, bad = recount(STATUSES[tx.row("STATUS_OF", job_=job)[0]] for job in members)
    tx.many("INSERT_DEP_SET", [(id, change.wf, key, len(members), remaining, bad)])
    tx.many("INSERT_DEP_MEMBER", [(id, job, change.wf) for job in members])
    return id


def recount_waiter(change: Change, job: JobId) -> None:
    """Set the counters of a job that waits from its sets."""
    groups = [id for (id,) in change.tx.rows("USES", job_=job)]
    unmet = sum(change.tx.row("SET_COUNTS", set_=id)[0] > 0 for id in groups)
    members = [[JobId(member) for (member,) in change.tx.rows("MEMBERS", set_=id)] for id in groups]
    change.tx.run("WRITE_COUNTERS", job_=job, unmet_=unmet, blockers_=blockers(members))


def derive(change: Change) -> None:
    """Derive the sets that follow from files and user data anew, if a relation has changed (`engine.md` §5.3).

    Raises
    ------
    Invalid
        If jobs wait for each other in a circle; the sentence names them.
    """
    tx, wf = change.tx, change.wf
    if change.state.derived:
        return
    tx.run("STRIP_USES", wf_=wf, kept_=int(Source.EXPLICIT | Source.SPAWN))
    tx.run("DROP_EMPTY_USES", wf_=wf)
    tx.run("FORGET_SETS", wf_=wf)
    for kind, source in ((InputKind.FILE, Source.FILE), (InputKind.USER_DATA, Source.USER_DATA)):
        pairs = tx.rows(f"PRODUCERS_{kind.name}", wf_=wf)
        for input_set, found in groupby(pairs, key=lambda pair: pair[0]):
            users = tx.rows("INPUT_USERS", set_=input_set)
            if not users:
                continue
            id = group(change, [job for _, job in found])
            tx.run("REMEMBER_SET", input_=input_set, set_=id)
            tx.many("ADD_USE", [(job, id, wf, int(source)) for (job,) in users])
    for (id,) in tx.rows("ALONE_SETS", wf_=wf):
        _share(change, id)
    tx.run("DROP_UNUSED_MEMBERS", wf_=wf)
    tx.run("DROP_UNUSED_SETS", wf_=wf)
    members, uses = graph(change)
    circle = cycle(members, uses)
    if circle is not None:
        names = [tx.row("NAME_OF", job_=job)[0] for job in (*circle, circle[0])]
        raise Invalid(f"jobs of workflow {wf} wait for each other: {' -> '.join(names)}")
    open_ = {id for (id,) in tx.rows("OPEN_SETS", wf_=wf)}
    sizes: dict[tuple[int, ...], int] = {}
    tx.run("CLEAR_COUNTERS", wf_=wf)
    counters = []
    for job, groups in uses.items():
        key = tuple(groups)
        if key not in sizes:
            sizes[key] = blockers([members[id] for id in groups])
        counters.append({"job_": job, "unmet_": sum(id in open_ for id in groups), "blockers_": sizes[key]})
    tx.many("WRITE_COUNTERS", counters)
    tx.run("DERIVED", wf_=wf)
    change.state = change.state._replace(derived=1)


def _share(change: Change, alone: int) -> None:
    """Let a set that has lost members find its equal, or be found by others."""
    tx = change.tx
    key = digest(job for (job,) in tx.rows("MEMBERS", set_=alone))
    row = tx.row("DEP_SET_OF", wf_=change.wf, digest_=key)
    if row is None:
        tx.run("SHARE", set_=alone, digest_=key)
        return
    uses = tx.rows("USES_OF_SET", set_=alone)
    tx.run("DROP_USES_OF_SET", set_=alone)
    tx.many("ADD_USE", [(job, row[0], change.wf, sources) for job, sources in uses])


def graph(change: Change) -> tuple[dict[int, list[JobId]], dict[JobId, list[int]]]:
    """The members of all sets, and the sets that each job waits for."""
    members: dict[int, list[JobId]] = {}
    for id, job in change.tx.rows("ALL_MEMBERS", wf_=change.wf):
        members.setdefault(id, []).append(job)
    uses: dict[JobId, list[int]] = {}
    for job, id in change.tx.rows("ALL_USES", wf_=change.wf):
        uses.setdefault(job, []).append(id)
        # A set may have lost all its members.
        members.setdefault(id, [])
    return members, uses


def leave(change: Change, job: JobId) -> list[int]:
    """Take a job out of all sets, as a member and as a waiter; the sets that had it, shared no more."""
    tx = change.tx
    groups = [row[0] for row in tx.rows("MEMBERSHIPS", job_=job)]
    for id in groups:
        tx.run("UNSHARE", set_=id)
    for statement in ("DROP_MEMBERSHIPS", "DROP_USES", "DROP_INPUT_USES", "DROP_JOB_OUTPUT_FILE",
                      "DROP_JOB_OUTPUT_USER_DATA", "DROP_RESULTS", "DROP_WATCHES", "DROP_STATS"):  # fmt: skip
        tx.run(statement, job_=job)
    return groups


def use(change: Change, job: JobId, id: int, source: Source) -> None:
    """Let a job wait for a set; its counters have to be set anew."""
    change.tx.many("ADD_USE", [(job, id, change.wf, int(source))])


def _drop_uses(change: Change, job: JobId, source: Source) -> None:
    change.tx.run("STRIP_JOB_USES", job_=job, kept_=int(~source & 15))
    change.tx.run("DROP_EMPTY_USES", wf_=change.wf)


def _input_set(change: Change, kind: InputKind, items: Iterable[int]) -> int:
    """The input set with these items, ascending; made if there is none."""
    tx, listed = change.tx, list(items)
    key = digest(listed)
    row = tx.row("INPUT_SET_OF", wf_=change.wf, kind_=kind.value, digest_=key)
    if row is not None:
        return int(row[0])
    id = tx.ids("input_set", 1)
    tx.many("INSERT_INPUT_SET", [(id, change.wf, kind.value, key, len(listed), None)])
    tx.many("INSERT_INPUT_MEMBER", [(id, item, change.wf) for item in listed])
    return id
