"""Checks of a server, its address, and the process that it is (`slurm.md` §13.4)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from torc_core import __version__
from torc_core.record import record
from torc_slurm.deployment import seeing
from torc_slurm.deployment.checks import Check, fail, ok, warn
from torc_terminal.serving import means_itself

if TYPE_CHECKING:
    from torc_core.config import Config
    from torc_terminal.internal_names import Candidate

QUICK = 1.0
"""Seconds within which a server answers that is well."""
SKEW = 30.0
"""Seconds by which two clocks may differ before it confuses people."""
AUTO = "torc-server run --host auto --port auto"


@record(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at.

    Parameters
    ----------
    database
        None: only an address is known.
    url
        Where commands look for a server; None: nowhere.
    slurm
        Whether allocations are, or may be, asked for from here, so that other hosts have to reach the server.
    """

    config: Config
    database: Path | None
    url: str | None
    slurm: bool
    verbose: bool = False

    @property
    def owner(self) -> seeing.Owner | None:
        """Who serves the database, by the file beside it."""
        return None if self.database is None else seeing.owner_of(self.database)

    @property
    def address(self) -> str | None:
        """Where the server is, by what is said first."""
        owner = self.owner
        return self.url or (owner.url if owner is not None else None)

    @property
    def logs(self) -> Sequence[Path]:
        """The log files of the server."""
        named = self.config.server.logging.log_dir
        folder = (
            Path(named).expanduser() if named else None if self.database is None else self.database.parent
        )
        return sorted(folder.glob("torc-server*.log")) if folder is not None and folder.is_dir() else []


def checked(patient: Patient, answer: seeing.Answer | None, names: Sequence[Candidate]) -> Iterable[Check]:
    """All checks of the server; `answer` None: there is no address to ask at."""
    yield server_up(patient, answer)
    yield listen(patient)
    yield hostname(patient, names)
    yield api_url(patient)
    yield port(patient, answer)
    yield multiplexer(patient)
    yield clock(answer)


def server_up(patient: Patient, answer: seeing.Answer | None) -> Check:
    """Whether the process lives, and answers soon."""
    owner, id = patient.owner, "server-up"
    if answer is None:
        if owner is not None and owner.there and owner.lives is False:
            return fail(
                id, f"process {owner.pid}, which served the database, has ended", f"{AUTO} --database {patient.database}",
                _log(patient),
            )  # fmt: skip
        if patient.slurm:
            return warn(
                id, "no server runs; commands open the database by themselves, other hosts cannot", AUTO
            )
        return ok(id, "no server runs, and none is needed here: commands open the database by themselves")
    where = patient.address
    if answer.why_not is not None:
        causes = {
            "refused": "nobody listens there", "timed out": "a firewall or a host that is away",
            "name not resolved": "this host does not know the name",
        }  # fmt: skip
        dead = owner is not None and owner.lives is False
        return fail(
            id, f"{where} does not answer: {answer.why_not} ({causes.get(answer.why_not, 'see the evidence')})",
            f"start it again: {AUTO}" + (f" --database {patient.database}" if patient.database else ""),
            (f"process {owner.pid} has ended. " if dead and owner is not None else "") + (_log(patient) or ""),
        )  # fmt: skip
    said = f"{where} answers in {answer.seconds * 1000:.0f} ms, version {answer.version}"
    if answer.version is not None and answer.version.split(".")[:2] != __version__.split(".")[:2]:
        return warn(
            id,
            f"{said}; this is torc {__version__}",
            "use the same release on both sides: pip install torc-core",
        )
    if answer.seconds > QUICK:
        return warn(id, f"{said}, which is slow", "raise --threads, or look at the load of its host")
    return ok(id, said)


def listen(patient: Patient) -> Check:
    """On which addresses somebody listens on the server's port."""
    id, number, here = "listen", _port(patient), _is_here(patient)
    if number is None or not here:
        return ok(id, "the server is not on this host" if number else "there is no port to look at")
    addresses = seeing.listeners(number)
    if not addresses:
        return warn(id, f"nobody listens on port {number} of this host", AUTO)
    told = ", ".join(addresses)
    if all(address.startswith("127.") or address in ("::1", "::ffff:127.0.0.1") for address in addresses):
        how = fail if patient.slurm else warn
        return how(
            id, f"port {number} is open for this host alone; compute nodes are refused", "torc-server run --host auto", told
        )  # fmt: skip
    return ok(id, f"port {number} is open for other hosts", told)


def hostname(patient: Patient, names: Sequence[Candidate]) -> Check:
    """Whether the address in use has the internal name of its host."""
    id = "hostname"
    used = urlsplit(patient.address or "").hostname
    best = next((one for one in names if one.why_not is None), None)
    if used is None or means_itself(patient.address or ""):
        if best is None:
            return warn(
                id, "this host has no name that others can reach", "torc hpc hostname --all",
                "; ".join(f"{one.name}: {one.reason}" for one in names),
            )  # fmt: skip
        return ok(id, f"compute nodes reach this host as {best.name}", best.reason)
    if not _is_here(patient):
        return ok(id, f"{used} is another host; ask there: torc hpc hostname")
    mine = next((one for one in names if one.name == used), None)
    if best is None:
        return warn(id, f"{used} does not qualify as an internal name", "torc hpc hostname --all")
    if used in (best.name, best.address) or (mine is not None and mine.address == best.address):
        return ok(id, f"{used} is on the internal network", best.reason)
    why = "" if mine is None else f"{used}: {mine.reason}. "
    return warn(
        id, f"compute nodes may not reach '{used}'; the internal name is '{best.name}'",
        f"torc-server run --host {best.name}", f"{why}{best.name}: {best.reason}",
    )  # fmt: skip


def api_url(patient: Patient) -> Check:
    """Whether all that names the server names the same one."""
    id, owner = "api-url", patient.owner
    named = {
        "TORC_API_URL": patient.config.environ.get("TORC_API_URL"),
        "client.api_url": patient.config.client.api_url,
        "the owner file": owner.url if owner is not None else None,
    }
    known = {name: _place(url) for name, url in named.items() if url}
    told = "; ".join(f"{name}: {url}" for name, url in named.items() if url)
    if not known:
        return ok(id, "no address is configured; commands find the database's server by themselves")
    if len(set(known.values())) > 1:
        return warn(
            id, "the addresses of the server differ", f"export TORC_API_URL={owner.url if owner and owner.url else 'URL'}", told
        )  # fmt: skip
    if patient.slurm and means_itself(patient.address or ""):
        return warn(
            id, "the address means the very host that uses it; compute nodes look for the server on themselves",
            "torc-server run --host auto, then export the TORC_API_URL that it prints", told,
        )  # fmt: skip
    return ok(id, "all that names the server agrees", told)


def port(patient: Patient, answer: seeing.Answer | None) -> Check:
    """Who has the port, if it is not our server."""
    id, number = "port", _port(patient) or patient.config.server.port
    if answer is not None and answer.why_not is None:
        return ok(id, f"port {number} is the server's")
    who = seeing.holder(number)
    if who is None:
        return ok(id, f"port {number} is free on this host")
    return warn(id, f"port {number} is taken by {who}", "torc-server run --port auto", f"lsof -i :{number}")


def multiplexer(patient: Patient) -> Check:
    """Whether the server outlives the terminal that it was started in."""
    id, owner = "multiplexer", patient.owner
    if owner is None or not owner.lives or owner.pid is None:
        return ok(id, "no server runs on this host")
    environ = seeing.environment_of(owner.pid)
    for name, what in (
        ("TMUX", "tmux"),
        ("STY", "screen"),
        ("INVOCATION_ID", "systemd"),
        ("SLURM_JOB_ID", "an allocation"),
    ):
        if name in environ:
            return ok(id, f"the server runs in {what}")
    if not seeing.has_terminal(owner.pid):
        return ok(id, "the server belongs to no terminal")
    return warn(
        id, "the server ends when its terminal does", "tmux new -s torc, or torc-server run --daemon", f"pid {owner.pid}"
    )  # fmt: skip


def clock(answer: seeing.Answer | None) -> Check:
    """Whether the server's clock and ours agree; nothing but what people read depends on it."""
    import time

    id = "clock"
    if answer is None or answer.date is None:
        return ok(id, "there is no other clock to compare with")
    skew = abs(time.time() - answer.date)
    if skew > SKEW:
        return warn(
            id, f"the server's clock differs by {skew:.0f} s; times in tables are those of the server"
        )
    return ok(id, "the server's clock agrees with this one")


def _log(patient: Patient) -> str | None:
    """The end of the server's log."""
    if not patient.logs:
        return None
    path = max(patient.logs, key=lambda one: one.stat().st_mtime)
    lines = seeing.tail(path, 100 if patient.verbose else 20)
    return f"{path}:\n" + "\n".join(lines)


def _port(patient: Patient) -> int | None:
    address = patient.address
    return urlsplit(address).port if address else None


def _is_here(patient: Patient) -> bool:
    """Whether the server is on this host, as far as one can tell."""
    owner = patient.owner
    if owner is not None and owner.there and owner.url == patient.address:
        return owner.here
    address = patient.address
    if address is None or means_itself(address):
        return True
    name = urlsplit(address).hostname or ""
    return name.partition(".")[0] == os.uname().nodename.partition(".")[0] or seeing.is_here(name)


def _place(url: str) -> tuple[str | None, int | None]:
    split = urlsplit(url)
    return split.hostname, split.port
