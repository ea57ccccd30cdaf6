"""The session that a tunnel has on a host, and its end when the way to it is lost.

A host whose connection is gone without a word does not know for a quarter of an hour or longer: the session goes on, and
with it the port that the worker was told. Who comes again ends his own former session, and has the port back.
"""

from __future__ import annotations

import shlex

from torc_ssh.connection import Connection
from torc_ssh.scripts import words_of

_WHO = """
answer=
if read -r line <"/proc/$PPID/stat" && read -r boot </proc/sys/kernel/random/boot_id; then
  set -- ${line##*) }
  answer="$PPID.${20}.$boot"
fi
"""

_END = """
read -r boot </proc/sys/kernel/random/boot_id
pid=${one%%.*}
answer=
if line=$(cat "/proc/$pid/stat" 2>/dev/null); then
  set -- ${line##*) }
  [ "$one" = "$pid.${20}.$boot" ] && kill "$pid" && answer=ended
fi
"""


def session_of(connection: Connection) -> str | None:
    """The process that serves a connection on its host, as `pid.start.boot`; None where that cannot be told.

    Raises as `words_of`.
    """
    return next(iter(words_of(connection, _WHO)), None)


def ended(connection: Connection, session: str) -> bool:
    """End a former session of this user, if it is the very one; whether there was one. Raises as `words_of`."""
    return bool(words_of(connection, f"one={shlex.quote(session)}\n{_END}"))
