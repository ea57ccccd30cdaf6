"""Whether a server and this program belong together (`cli.md` §3, `--skip-version-check`)."""

from __future__ import annotations

import logging
import re

from torc_core.errors import Conflict

log = logging.getLogger(__name__)

HEADER = "x-torc-version"
"""Where every answer of a server says which release it is."""

_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


def compare(ours: str, theirs: str | None, name: str) -> None:
    """Say how much two releases differ: nothing, a debug note, a warning.

    Parameters
    ----------
    theirs
        The release of the server; None: it does not say.
    name
        The address of the server.

    Raises
    ------
    Conflict
        If the first numbers differ.
    """
    mine, its = _NUMBERS.match(ours), _NUMBERS.match(theirs or "")
    if mine is None or its is None:
        log.debug("the server at %s does not say which release it is", name)
        return
    if mine[1] != its[1]:
        raise Conflict(
            f"the server at {name} is torc {theirs} and this is torc {ours}, which do not understand each other",
            hint="use a torc of the same release as the server, or try --skip-version-check",
        )
    if int(mine[2]) > int(its[2]):
        log.warning("this is torc %s, newer than the server at %s, which is torc %s", ours, name, theirs)
    elif mine[0] != its[0]:
        log.debug("this is torc %s, the server at %s is torc %s", ours, name, theirs)
