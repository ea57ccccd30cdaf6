"""Asks the cluster at hand what it is made of."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torc_core.errors import Unavailable
from torc_slurm.profiles import live
from torc_slurm.profiles.configured import profiles
from torc_slurm.profiles.detection import LIVE, chosen, detected, hostnames, nothing_known
from torc_slurm.scheduler.slurm import Slurm

if TYPE_CHECKING:
    from torc_core.session import Session
    from torc_slurm.profiles.model import Profile


def seen(slurm: Slurm, *, skip_standby: bool = False) -> Sequence[live.Seen]:
    """The partitions of the cluster at hand.

    Raises
    ------
    Unavailable
        If Slurm does not answer, or has no partition.
    """
    found = live.partitions(
        slurm.asked("sinfo", "-e", "-h", "-o", live.SINFO),
        slurm.asked("scontrol", "show", "partition", "-o"),
        skip_standby=skip_standby,
    )
    if not found:
        raise Unavailable("Slurm shows no partition; look at 'sinfo'")
    return found


def default_account(slurm: Slurm, environ: Mapping[str, str]) -> str | None:
    """The account that Slurm charges when none is named; None: not known."""
    user = environ.get("USER") or environ.get("LOGNAME")
    if not user or not slurm.here("sacctmgr"):
        return None
    done = slurm.ran("sacctmgr", "-n", "-P", "show", "user", user, "format=DefaultAccount")
    accounts = [line.strip() for line in done.out.splitlines() if line.strip()]
    return accounts[0] if done.code == 0 and accounts else None


def cluster_name(slurm: Slurm, environ: Mapping[str, str]) -> str:
    """What the cluster is called: by its variable, by its configuration, else by this host."""
    if environ.get("SLURM_CLUSTER_NAME"):
        return environ["SLURM_CLUSTER_NAME"]
    done = slurm.ran("scontrol", "show", "config")
    for line in done.out.splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "ClusterName" and value.strip():
            return value.strip()
    return socket.gethostname().partition(".")[0]


def live_profile(slurm: Slurm, environ: Mapping[str, str]) -> Profile:
    """The cluster at hand as a profile.

    Raises
    ------
    Unavailable
        If Slurm does not answer.
    """
    return live.profile(
        seen(slurm), name=LIVE, display_name="this cluster", account=default_account(slurm, environ)
    )


def profile_for(session: Session, name: str | None, *, ask: bool = True) -> Profile:
    """The profile that a command means: the one it names, that of this host, else what the cluster says.

    Parameters
    ----------
    ask
        Whether the cluster may be asked.

    Raises
    ------
    NotFound
        If there is no profile of this name.
    UsageError
        If none is named and none is known; the sentence lists those there are.
    Unavailable
        If the cluster was meant and does not answer.
    """
    config = session.config
    known = profiles(config)
    if name is not None and name != LIVE:
        return chosen(known, name)
    if name is None and (
        found := detected(known, config.environ, hostnames(), config.client.hpc.default_profile)
    ):
        return found
    slurm = Slurm.of(config, session.clock)
    if not ask or not slurm.here("sinfo"):
        raise nothing_known(known)
    try:
        return live_profile(slurm, config.environ)
    except Unavailable as error:
        names = ", ".join(one.name for one in known)
        raise Unavailable(f"{error}; a profile can be named with --profile ({names})") from error
