"""Checks of Slurm, and of the way from a compute node to the server (`slurm.md` §13.4, §13.5)."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from torc_core import __version__
from torc_core.errors import TorcError
from torc_slurm.deployment.checks import Check, fail, ok, warn
from torc_slurm.deployment.server import AUTO, Patient
from torc_slurm.deployment.verifying import on_a_node
from torc_slurm.scheduler.slurm import TOOLS, Slurm
from torc_terminal.serving import means_itself

if TYPE_CHECKING:
    from collections.abc import Mapping

REACH = """\
name={name}; port={port}; path={path}
if getent hosts "$name" >/dev/null 2>&1; then echo resolved=yes; else echo resolved=no; fi
said=$(timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$name" "$port" 2>&1); code=$?
if [ $code -eq 0 ]; then echo tcp=reached
elif [ $code -eq 124 ]; then echo tcp=timed-out
else case "$said" in *[Rr]efused*) echo tcp=refused;; *) echo tcp=timed-out;; esac; fi
ping=$(timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"; printf "GET %s/ping HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n" "$2" "$0" >&3; head -c 400 <&3' \
  "$name" "$port" "$path" 2>/dev/null | head -n 1 | tr -d '\\r')
echo "ping=$ping"
mkdir -p {out} 2>/dev/null; echo "inode=$(stat -c %i {out} 2>/dev/null)"
mark={out}/.torc-doctor-$$; if : >"$mark" 2>/dev/null; then rm -f "$mark"; echo writable=yes; else echo writable=no; fi
if [ -z {key} ] || [ -r {key} ]; then echo key=yes; else echo key=no; fi
echo "torc=$({torc} --version 2>/dev/null)"
echo "host=$(hostname)"
"""


def slurm_checked(slurm: Slurm, user: str) -> Check:
    """Which tools are there, whether there is an accounting, whether we have an account, how often Slurm is asked."""
    id = "slurm"
    missing = [tool for tool in TOOLS if not slurm.here(tool)]
    if len(missing) == len(TOOLS):
        return ok(id, "Slurm is not on this host")
    if missing:
        return warn(
            id,
            f"commands of Slurm are missing: {', '.join(missing)}",
            "module load slurm, or add them to PATH",
        )
    version = slurm.ran("sbatch", "--version", bucket=None, limit=10).out.strip()
    calls = slurm.budget.per_minute()
    asked = ", ".join(f"{name} {count}" for name, count in sorted(calls.items())) or "none"
    told = f"{version}; calls in the last minute: {asked}"
    try:
        found = slurm.accounts(("JobID",), numbers=["1"])
    except TorcError as error:
        return warn(id, f"Slurm's accounting does not answer: {error}", "sacct -X | head", told)
    if found is None:
        return warn(
            id, "this cluster keeps no accounts; what squeue no longer shows cannot be looked up", "torc slurm usage", told
        )  # fmt: skip
    if slurm.here("sacctmgr"):
        done = slurm.ran(
            "sacctmgr", "-n", "-P", "show", "assoc", f"user={user}", "format=account,maxsubmit,maxjobs"
        )
        rows = [line.split("|") for line in done.out.splitlines() if line.strip()]
        if done.code == 0 and not rows:
            return warn(
                id, f"user '{user}' has no account in Slurm", f"sacctmgr show assoc user={user}", told
            )
        limits = "; ".join(f"{row[0]}: {_limit(row, 1)} submitted, {_limit(row, 2)} running" for row in rows)
        told = f"{told}; accounts: {limits}" if rows else told
    return ok(id, f"{version} answers, with accounting; calls in the last minute: {asked}", told)


def _limit(row: list[str], at: int) -> str:
    return row[at] if len(row) > at and row[at] else "any number"


def reach_checked(patient: Patient, slurm: Slurm, out: str, key: str | None, **where: str | None) -> Check:
    """Whether a compute node reaches the server, the output directory, the key and torc."""
    id, address = "reach", patient.address
    if address is None:
        return fail(id, "there is no address for compute nodes to try", AUTO)
    split = urlsplit(address)
    if means_itself(address):
        return fail(id, f"{address} means, on a compute node, that very node", "torc-server run --host auto")
    folder = Path(out).expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    torc = Path(sys.executable).parent / "torc"
    script = REACH.format(
        name=shlex.quote(split.hostname or ""), port=split.port or (443 if split.scheme == "https" else 80),
        path=shlex.quote(split.path.rstrip("/")), out=shlex.quote(str(folder)), key=shlex.quote(key or ""),
        torc=shlex.quote(str(torc)),
    )  # fmt: skip
    try:
        text = on_a_node(slurm, patient.config, script, **where)
    except TorcError as error:
        return fail(id, f"no compute node could be asked: {error}", "salloc -N 1 -t 00:01:00")
    told = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    return judged(told, address, https=split.scheme == "https", inode=folder.stat().st_ino, folder=folder)


def judged(told: Mapping[str, str], address: str, *, https: bool, inode: int, folder: Path) -> Check:
    """What a compute node has told."""
    id, host = "reach", told.get("host", "a compute node")
    evidence = ", ".join(f"{name} {value}" for name, value in told.items())
    split = urlsplit(address)
    if told.get("resolved") == "no" and not re.fullmatch(r"[\d.]+|.*:.*", split.hostname or ""):
        return fail(
            id,
            f"{host} does not know the name '{split.hostname}'",
            "torc hpc hostname --all --verify",
            evidence,
        )
    if told.get("tcp") == "refused":
        return fail(
            id, f"{host} is refused at {split.hostname}:{split.port}: the server does not listen on that interface",
            "torc-server run --host auto", evidence,
        )  # fmt: skip
    if told.get("tcp") != "reached":
        return fail(
            id, f"{host} gets no answer from {split.hostname}:{split.port}: a firewall, or the wrong network",
            "another port (--port auto), or another name (torc hpc hostname --all --verify)", evidence,
        )  # fmt: skip
    if not https and " 200" not in told.get("ping", ""):
        return fail(
            id, f"{host} connects, but what answers is no torc server", f"curl -s {address}/ping", evidence
        )
    if told.get("inode") != str(inode):
        return fail(
            id, f"{host} has another '{folder}' than this host; results would be lost",
            "choose an output directory on a shared file system: -o /scratch/$USER/torc_output", evidence,
        )  # fmt: skip
    if told.get("writable") != "yes":
        return fail(id, f"{host} cannot write into '{folder}'", f"ls -ld {folder}", evidence)
    if told.get("key") != "yes":
        return fail(
            id, f"{host} cannot read the server's key", "put it where compute nodes see it: --token-file FILE", evidence
        )  # fmt: skip
    version = told.get("torc", "").rpartition(" ")[2]
    if version != __version__:
        what = f"torc {version}" if version else "no torc"
        return fail(
            id,
            f"{host} finds {what} instead of {__version__}",
            "install torc where compute nodes see it",
            evidence,
        )
    return ok(id, f"{host} reaches {address}, writes into '{folder}' and finds torc {version}", evidence)


def configured(patient: Patient, key: str | None) -> Iterable[Check]:
    """Whether the configuration holds: errors have ended the program already; left are doubts, and the modes of secrets."""
    id, config = "config", patient.config
    known = (str(path) for path in config.files.values() if path.exists())
    files = ", ".join(known) or None
    secrets = (key, config.client.token_file, config.server.auth_file, config.server.tls_key)
    for secret in dict.fromkeys(one for one in secrets if one):
        path = Path(secret).expanduser()
        if path.exists() and path.stat().st_mode & 0o077:
            yield fail(id, f"others may read the secret '{path}'", f"chmod 600 {path}", files)
            return
    if config.warnings:
        doubts = "\n".join(str(one) for one in config.warnings)
        yield warn(id, str(config.warnings[0]), "torc config validate", doubts)
        return
    yield ok(id, "the configuration is valid", files)
