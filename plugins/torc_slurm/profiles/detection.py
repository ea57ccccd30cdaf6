"""Which cluster this is (`slurm.md` §12): what the user says, the user's own profiles, built-in ones."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torc_core.errors import NotFound, UsageError, did_you_mean
from torc_slurm.profiles.configured import named, profiles
from torc_slurm.profiles.model import Profile, Sign

if TYPE_CHECKING:
    from torc_core.config import Config

LIVE = "slurm"
"""Name of the profile that the cluster at hand describes by itself."""


def shows(sign: Sign, environ: Mapping[str, str], hostnames: Sequence[str]) -> bool:
    """Whether a sign is seen here."""
    if sign.env is not None and environ.get(sign.env[0]) == sign.env[1]:
        return True
    return sign.hostname is not None and any(re.fullmatch(sign.hostname, name) for name in hostnames)


def detected(
    known: Sequence[Profile], environ: Mapping[str, str], hostnames: Sequence[str], default: str | None = None
) -> Profile | None:
    """The profile of the cluster where this runs; None: none is known.

    Parameters
    ----------
    default
        `client.hpc.default_profile`: taken without looking for signs.

    Raises
    ------
    NotFound
        If there is no profile of the name of `default`.
    """
    if default is not None and default != LIVE:
        return chosen(known, default)
    if default == LIVE:
        return None
    return next((one for one in known if any(shows(sign, environ, hostnames) for sign in one.signs)), None)


def chosen(known: Sequence[Profile], name: str) -> Profile:
    """The profile that the user names.

    Raises
    ------
    NotFound
        If there is none; the sentence lists those there are.
    """
    found = named(known, name)
    if found is None:
        names = [one.name for one in known]
        hint = did_you_mean(name, names) or f"; there are {', '.join(names)}"
        raise NotFound(f"no profile '{name}'{hint}")
    return found


def here(config: Config) -> Profile | None:
    """The profile of this host, by configuration and signs; None: none is known."""
    return detected(profiles(config), config.environ, hostnames(), config.client.hpc.default_profile)


def hostnames() -> Sequence[str]:
    """The names that this host has for itself."""
    return list(dict.fromkeys((socket.gethostname(), socket.getfqdn())))


def nothing_known(known: Sequence[Profile]) -> UsageError:
    """What to say where a profile is needed and none is known."""
    names = ", ".join(one.name for one in known)
    return UsageError(
        f"no profile matches this host, and no Slurm answers here; name one with --profile ({names}) "
        "or describe the cluster under [client.hpc.custom_profiles.NAME]"
    )
