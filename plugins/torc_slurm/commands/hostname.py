"""`torc hpc hostname`: the name under which compute nodes reach this host."""

from __future__ import annotations

from dataclasses import replace

from torc_core.errors import Conflict, TorcError, UsageError
from torc_core.given import Given
from torc_core.model import Json
from torc_core.session import Session
from torc_slurm.deployment.naming import hints
from torc_slurm.deployment.verifying import Known, reached
from torc_slurm.scheduler.slurm import Slurm
from torc_terminal.internal_names import Candidate, gathered, ranked
from torc_terminal.options import Flag, Yes
from torc_terminal.output.answer import Report, Text
from torc_terminal.output.cells import Column
from torc_terminal.selector import confirm

COLUMNS = (
    Column(title="", key="chosen", show=lambda item: "*" if item["chosen"] else ""),
    Column(title="Name", key="name"),
    Column(title="Address", key="address"),
    Column(title="Interface", key="interface"),
    Column(title="Source", key="source"),
    Column(title="Reason", key="reason"),
    Column(title="From a node", key="from_node"),
)
RECIPES = (
    "find it with 'hostname -A', with 'grep $(hostname -s) /etc/hosts', or with 'scontrol show config | grep -i "
    "slurmctldhost', and set it: torc config set client.hpc.hostname NAME"
)


class NoName(TorcError):
    """no name of this host can be reached by others"""


def hostname(
    *,
    all: Flag = False,
    verify: Flag = False,
    account: str | None = None,
    partition: str | None = None,
    url: int | None = None,
    yes: Yes = False,
    session: Given,
) -> Report | Text:
    """Print the name under which compute nodes reach this host: `torc-server run --host $(torc hpc hostname)`.

    Parameters
    ----------
    all
        List all candidates with what speaks for them and against them.
    verify
        Try them from a compute node: one allocation of a minute, whose result is remembered for 30 days.
    account
        Account of that allocation.
    partition
        Partition of that allocation.
    url
        Print the whole address of a server on this port.
    yes
        Do not ask before the allocation.
    """
    if url is not None and not 1 <= url <= 65_535:
        raise UsageError(f"--url '{url}' is not a port; give a number from 1 to 65535")
    configured = session.config.client.hpc.hostname
    found = ranked(gathered(), hints(session.config, session.clock), configured)
    tried = _tried(session, found, account, partition, ask=verify, yes=yes)
    if tried:
        found = [_with(one, tried.get(one.name)) for one in found]
        found.sort(key=lambda one: one.why_not is not None)
    best = next((one for one in found if one.why_not is None), None)
    if all or session.format != "table":
        return _listed(found, best, tried, url)
    if best is None:
        named = "; ".join(f"{one.name}: {one.reason}" for one in found) or "it has no name"
        raise NoName(f"no name of this host can be reached by other hosts ({named}); {RECIPES}")
    return Text(text=(address(best.name, url) if url is not None else best.name) + "\n")


def address(name: str, port: int) -> str:
    """The address of a server."""
    shown = f"[{name}]" if ":" in name else name
    return f"http://{shown}:{port}/torc-service/v1"


def _tried(
    session: Session,
    found: list[Candidate],
    account: str | None,
    partition: str | None,
    *,
    ask: bool,
    yes: bool,
) -> dict[str, str]:
    """How names do from a compute node, as far as that is known, or wanted to be."""
    slurm = Slurm.of(session.config, session.clock)
    known = Known(session.config, session.clock)
    cluster = session.config.environ.get("SLURM_CLUSTER_NAME", "")
    if not ask:
        return dict(known.read(cluster) or {})
    good = [one for one in found if one.why_not is None]
    if not good:
        return {}
    if not slurm.here("srun"):
        raise Conflict(
            "Slurm is not on this host: no 'srun' in PATH; try the names from a compute node by hand: nc -zv NAME PORT"
        )
    confirm(session, "Ask Slurm for one node for a minute to try the names from there?", yes)
    names = dict(reached(slurm, session.config, good, account=account, partition=partition))
    known.write(cluster, names)
    return names


def _with(one: Candidate, how: str | None) -> Candidate:
    words = {
        "refused": "a compute node is refused there", "timed-out": "a compute node gets no answer there",
        "unresolved": "a compute node does not know the name",
    }  # fmt: skip
    return replace(one, why_not=words[how]) if one.why_not is None and how in words else one


def _listed(found: list[Candidate], best: Candidate | None, tried: dict[str, str], url: int | None) -> Report:
    rows: list[dict[str, Json]] = [
        {
            "name": one.name, "address": one.address, "interface": one.interface, "source": one.source,
            "reason": one.reason, "chosen": one is best, "qualifies": one.why_not is None, "from_node": tried.get(one.name),
        }
        for one in found
    ]  # fmt: skip
    return Report(
        schema="torc.hpc.hostname/1",
        data={
            "hostname": None if best is None else best.name,
            "url": None if best is None or url is None else address(best.name, url),
            "candidates": rows,
        },
        rows=rows,
        columns=COLUMNS,
        noun="names",
        hint=None if best is not None else RECIPES,
        exit_code=0 if best is not None else 1,
    )
