"""`torc doctor`: what is wrong with a server, its database and the way to it, and what helps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter

from torc_core.errors import TorcError, UsageError
from torc_core.given import Given
from torc_core.model import JobStatus, Query, Workflow
from torc_core.session import Session
from torc_slurm.deployment import cluster, database, room, seeing, server
from torc_slurm.deployment.checks import Check, Grade, ok
from torc_slurm.deployment.naming import hints
from torc_slurm.scheduler.slurm import Slurm
from torc_terminal.internal_names import gathered, ranked
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report, refuse_csv
from torc_terminal.output.cells import plain
from torc_terminal.serving import completed

SIGNS = {Grade.OK: "OK  ", Grade.WARN: "WARN", Grade.FAIL: "FAIL"}


def doctor(
    *,
    database_: Annotated[str | None, Parameter(name=["--database", "-d"])] = None,
    from_compute_node: Flag = False,
    workflow: int | None = None,
    account: str | None = None,
    partition: str | None = None,
    output_dir: Annotated[str | None, Parameter(name=["--output-dir", "-o"])] = None,
    fix: Flag = False,
    session: Given,
) -> Report:
    """Look for what is wrong with a server, its database and the way to it; each finding with the command to try.

    The server is that of --url, or of TORC_API_URL and the configuration, or the one that serves the database.

    Parameters
    ----------
    database_
        The database; normally that of the configuration.
    from_compute_node
        Try everything from a compute node, too: one allocation of a minute.
    workflow
        Look at the output directory of this workflow from there.
    account
        Account of that allocation.
    partition
        Partition of that allocation.
    output_dir
        The output directory; normally torc_output.
    fix
        Remove stale owner files, take others' rights from the database, put long logs aside.
    """
    refuse_csv(session)
    path, url = _where(session, database_)
    slurm = Slurm.of(session.config, session.clock)
    patient = server.Patient(
        config=session.config, database=path, url=url, slurm=slurm.here(), verbose=session.verbose
    )
    keys = session.config.client
    ask = patient.address
    answer = None if ask is None else seeing.asked(ask, ca_cert=keys.tls.ca_cert, insecure=keys.tls.insecure)
    names = ranked(gathered(), hints(session.config, session.clock), keys.hpc.hostname)
    owner = patient.owner
    key = None if owner is None else owner.told.get("key_file")
    checks: list[Check] = [*server.checked(patient, answer, names)]
    if from_compute_node:
        out = output_dir or _folder(session, workflow)
        checks.append(cluster.reach_checked(
            patient, slurm, out, None if key is None else str(key), account=account, partition=partition
        ))  # fmt: skip
    elif patient.slurm:
        checks.append(ok("reach", "not tried from a compute node; try it: torc doctor --from-compute-node"))
    checks += database.checked(patient, active=_active(session))
    places = {"out-room": Path(output_dir or _folder(session, workflow)).expanduser().absolute()}
    if path is not None:
        places = {"db-room": path.parent, **places}
    checks += room.checked(places, session.config.environ)
    checks.append(cluster.slurm_checked(slurm, session.user()))
    checks += cluster.configured(patient, None if key is None else str(key))
    fixed = database.fixed(patient, checks) if fix else []
    bad = sum(one.grade is Grade.FAIL for one in checks)
    return Report(
        schema="torc.doctor/1",
        data={"checks": [one.item() for one in checks], "fixed": list(fixed)},
        text="\n".join([*(_line(one) for one in checks), *fixed, _summary(checks)]),
        exit_code=1 if bad else 0,
    )


def _where(session: Session, database_: str | None) -> tuple[Path | None, str | None]:
    """The database, and the address, that are looked at.

    Raises
    ------
    UsageError
        If the store is of another kind.
    """
    url = session.config.store_url
    scheme, _, rest = url.partition("://")
    if database_ is not None:
        return Path(database_).expanduser().absolute(), completed(url) if scheme in (
            "http",
            "https",
        ) else None
    if scheme in ("http", "https"):
        named = session.config.server.database
        there = None if named is None else Path(named).expanduser().absolute()
        split = urlsplit(url)
        served = (
            seeing.database_at(split.port) if split.port and seeing.is_here(split.hostname or "") else None
        )
        return served or (there if there is not None and there.exists() else None), completed(url)
    if scheme != "sqlite":
        raise UsageError(
            f"a store of kind '{scheme}' has no server to look at; name one with --url or --database"
        )
    return Path(rest).expanduser().absolute(), None


def _active(session: Session) -> bool:
    """Whether a workflow is unfinished, as far as the store tells."""
    try:
        found = (
            session.store()
            .find(Workflow, Query(where={"is_archived": False, "is_canceled": False}, limit=1_000))
            .items
        )
        totals = session.store().totals([one.id for one in found])
    except TorcError:
        return False
    finally:
        session.close()
    return any(not one.complete and one.total > one.counts.get(JobStatus.UNINITIALIZED, 0) for one in totals)


def _folder(session: Session, workflow: int | None) -> str:
    """The output directory of a workflow, or the usual one."""
    if workflow is not None:
        about = session.store().get(Workflow, workflow)
        told = (about.submit_options or {}).get("output_dir")
        if isinstance(told, str):
            return told
    return session.config.client.run.output_dir


def _line(one: Check) -> str:
    lines = [f"{SIGNS[one.grade]}  {one.id:<12} {plain(one.message)}"]
    if one.grade is not Grade.OK and one.evidence:
        lines += [f"        {plain(line)}" for line in one.evidence.splitlines()]
    if one.remedy:
        lines.append(f"        try: {plain(one.remedy)}")
    return "\n".join(lines)


def _summary(checks: list[Check]) -> str:
    bad, odd = (sum(one.grade is grade for one in checks) for grade in (Grade.FAIL, Grade.WARN))
    return f"{len(checks)} checks: {bad} failed, {odd} warnings"
