"""The system's `ssh`: how it is called, and the configuration and folder that its calls share."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from torc_core.engine.addresses import Address
from torc_core.errors import InvalidConfig
from torc_ssh.fleet import STARTS_PER_SECOND, Pace
from torc_ssh.settings import RemoteSettings

ASKING = 10.0
"""Seconds in which questions to the program itself are answered."""

_CONFIG = """\
# Made by torc for as long as it runs. What is first wins: no questions; then your own; then what else would be the usual.
IgnoreUnknown SessionType,StdinNull,ForkAfterAuthentication
BatchMode yes
RemoteCommand none
SessionType default
StdinNull no
ForkAfterAuthentication no
ForwardAgent no
ForwardX11 no
PermitLocalCommand yes
LocalCommand echo torc-ready
ControlMaster no
ControlPersist no
RequestTTY no
LogLevel INFO
{includes}
Host *
StrictHostKeyChecking accept-new
ConnectTimeout {timeout:.0f}
ServerAliveInterval 15
ServerAliveCountMax 3
"""


class Ssh:
    """The program, with a private folder for sockets and its configuration.

    Parameters
    ----------
    note
        Is told each thing once, from any thread.

    Raises
    ------
    InvalidConfig
        If there is no `ssh`, or the configured file does not exist.
    """

    def __init__(self, settings: RemoteSettings, note: Callable[[str], None]) -> None:
        found = shutil.which("ssh")
        if not found:
            raise InvalidConfig(
                "client.remote.backend is 'openssh', but there is no program 'ssh' on the path"
            )
        self._program = os.path.abspath(found)
        self._settings = settings
        self._note = note
        self._noted: set[str] = set()
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._pace = Pace(STARTS_PER_SECOND, time.monotonic)
        self._includes = self._files()
        self._folder = Path(tempfile.mkdtemp(prefix="torc-ssh-"))

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _files(self) -> str:
        given = self._settings.ssh_config
        files = [given] if given else ["~/.ssh/config", "/etc/ssh/ssh_config"]
        paths = [os.path.abspath(os.path.expanduser(one)) for one in files]
        if given and not os.path.exists(paths[0]):
            raise InvalidConfig(f"cannot read {given!r}: no such file")
        return "\n".join(f'Include "{path}"' for path in paths)

    def words(self, address: Address, timeout: float, *options: str) -> list[str]:
        """The command line up to and with the host."""
        path = self._folder / f"config-{timeout:g}"
        if not path.exists():
            text = _CONFIG.format(includes=self._includes, timeout=max(1.0, timeout))
            new = path.with_name(f"{path.name}.{next(self._numbers)}")
            new.touch(mode=0o600)
            new.write_text(text)
            new.replace(path)
        user = ["-l", address.user] if address.user else []
        port = ["-p", str(address.port)] if address.port else []
        return [self._program, "-F", str(path), *user, *port, *options, "--", address.host]

    def control(self, socket: str, verb: str, specification: str) -> list[str]:
        """The command line that tells a master about a port of the host; without any configuration."""
        return [self._program, "-F", "none", "-S", socket, "-O", verb, "-R", specification, "--", "master"]

    def asked(self, address: Address) -> dict[str, list[str]]:
        """What `ssh -G` says: values by keyword.

        Raises
        ------
        InvalidConfig
            If it does not understand the configuration, or does not say so in time.
        """
        words = self.words(address, self._settings.connect_timeout_secs, "-G")
        try:
            ran = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASKING, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise InvalidConfig(
                f"ssh did not say within {ASKING:g} s how it is configured; see what takes so long: ssh -G {address.host}"
            ) from error
        if ran.returncode:
            raise InvalidConfig(f"ssh does not understand its configuration: {ran.stderr.strip()}")
        found: dict[str, list[str]] = {}
        for line in ran.stdout.splitlines():
            keyword, _, value = line.partition(" ")
            found.setdefault(keyword, []).append(value)
        return found

    def socket(self) -> str:
        """A path for a socket of its own."""
        return str(self._folder / f"s{next(self._numbers)}")

    def await_turn(self, host: str) -> None:
        """Return when one more connection to this host may start."""
        self._pace.wait(host)

    def note(self, text: str) -> None:
        """Tell the user once."""
        with self._lock:
            if text in self._noted:
                return
            self._noted.add(text)
        self._note(text)
