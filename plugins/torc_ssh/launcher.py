"""The launcher: runners as detached processes of other machines."""

from __future__ import annotations

import itertools
import logging
import shlex
from collections.abc import Iterable, Mapping, Sequence

from torc_core.engine.addresses import Address, parse
from torc_core.errors import UsageError
from torc_core.protocols import AllocationState, LaunchRequest
from torc_ssh.connection import open_connector
from torc_ssh.fleet import over
from torc_ssh.scripts import words_of
from torc_ssh.settings import LauncherSettings, RemoteSettings

logger = logging.getLogger(__name__)

_START = """
umask 077
if command -v "$1" >/dev/null 2>&1; then
  setsid "$@" </dev/null >/dev/null 2>&1 &
  pid=$!
  read -r line <"/proc/$pid/stat"; set -- ${line##*) }; start=${20}
  read -r boot </proc/sys/kernel/random/boot_id
  answer="$pid.$start.$boot"
else
  answer=missing
fi
"""

_LIVING = """
read -r boot </proc/sys/kernel/random/boot_id
answer=
for one; do
  pid=${one%%.*}
  line=$(cat "/proc/$pid/stat" 2>/dev/null) || continue
  set -- ${line##*) }
  case $1 in Z|X) continue ;; esac
  [ "$one" = "$pid.${20}.$boot" ] || continue
  answer="$answer $one"
  [ -z "$signal" ] || kill -s "$signal" "$pid"
done
"""


class Ssh:
    """Starts runners that outlive us and the connection; an id is `host/pid.start.boot`.

    The start of the process and of the host are part of it, so that a number used again is never mistaken.
    """

    def __init__(self, settings: LauncherSettings) -> None:
        self._remote = RemoteSettings(
            backend=settings.backend,
            connect_timeout_secs=settings.connect_timeout_secs,
            command_timeout_secs=settings.command_timeout_secs,
            ssh_config=settings.ssh_config,
        )
        self._hosts = [parse(host) for host in settings.hosts]
        self._turn = itertools.count()

    def submit(self, request: LaunchRequest) -> Sequence[str]:
        """Start `request.nodes` processes in sessions of their own, on one host after the other.

        Raises
        ------
        UsageError
            If no host is configured, or one does not have the command.
        Unreachable
            If a host does not answer; what was started on others is ended.
        """
        if not self._hosts:
            raise UsageError("launcher 'ssh' has no hosts; set launchers.ssh.hosts")
        wanted = [self._hosts[next(self._turn) % len(self._hosts)] for _ in range(request.nodes)]
        outcomes = over(wanted, lambda host: self._start(host, request.command))
        ids = [outcome.result for outcome in outcomes if outcome.ok]
        for outcome in outcomes:
            if outcome.error:
                self.cancel(ids)
                raise outcome.error
        return ids

    def status(self, ids: Sequence[str]) -> Mapping[str, AllocationState]:
        """Where they are; a process is never queued.

        Raises
        ------
        Unreachable
            If a host does not answer: nobody knows.
        """
        living = self._living(ids, "")
        return {one: AllocationState.RUNNING if one in living else AllocationState.ENDED for one in ids}

    def cancel(self, ids: Sequence[str]) -> None:
        """Ask them to end with SIGTERM: a runner then ends its jobs and reports them. Raises as `status`."""
        self._living(ids, "TERM")

    def _start(self, host: Address, command: Sequence[str]) -> str:
        (answer,) = self._ask(host, f"set -- {shlex.join(command)}\n{_START}")
        if answer == "missing":
            raise UsageError(f"cannot start {command[0]!r} on {host.text}: there is no such command")
        return f"{host.text}/{answer}"

    def _living(self, ids: Sequence[str], signal: str) -> set[str]:
        """Those that live, after they were sent a signal."""
        by_host: dict[str, list[str]] = {}
        for one in ids:
            host, slash, process = one.rpartition("/")
            if slash and process.partition(".")[0].isdigit():
                by_host.setdefault(host, []).append(process)

        def ask(host: str) -> Iterable[str]:
            words = shlex.join(by_host[host])
            answers = self._ask(parse(host), f"signal={signal}\nset -- {words}\n{_LIVING}")
            return [f"{host}/{one}" for one in answers]

        return {one for outcome in over(list(by_host), ask) for one in outcome.result}

    def _ask(self, host: Address, script: str) -> Sequence[str]:
        with open_connector(self._remote, logger.info) as connector, connector.connection(host) as connection:
            return words_of(connection, script)
