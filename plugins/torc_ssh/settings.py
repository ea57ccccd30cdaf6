"""What can be configured of connections and of the launcher (`remote.md` §16)."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal

from torc_core.errors import InvalidConfig
from torc_core.record import record

if TYPE_CHECKING:
    from torc_core.config import Config

Backend = Literal["paramiko", "openssh"]

MOST_HOSTS_AT_ONCE = 256


@record(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """What a connector needs of `[client.remote]`.

    Parameters
    ----------
    connect_timeout_secs
        For each hop: TCP, banner and login together.
    command_timeout_secs
        For a whole command; for streams the longest pause.
    ssh_config
        None: `~/.ssh/config` and `/etc/ssh/ssh_config`; else this file alone, as `ssh -F` has it.
    """

    backend: Backend = "paramiko"
    connect_timeout_secs: float = 30
    command_timeout_secs: float = 60
    ssh_config: str | None = None


def remote_settings(config: Config) -> RemoteSettings:
    """What a connector needs, out of the configuration.

    Raises
    ------
    InvalidConfig
        If a number is out of range; it names the key, the value and the range.
    """
    remote = config.client.remote
    if not 1 <= remote.max_parallel_ssh <= MOST_HOSTS_AT_ONCE:
        raise InvalidConfig(
            f"client.remote.max_parallel_ssh is {remote.max_parallel_ssh}; it has to be 1-{MOST_HOSTS_AT_ONCE}"
        )
    for name in ("connect_timeout_secs", "command_timeout_secs"):
        if getattr(remote, name) < 1:
            raise InvalidConfig(
                f"client.remote.{name} is {getattr(remote, name)}; it has to be 1 second or more"
            )
    return RemoteSettings(
        backend=remote.backend,
        connect_timeout_secs=remote.connect_timeout_secs,
        command_timeout_secs=remote.command_timeout_secs,
        ssh_config=remote.ssh_config,
    )


@record(frozen=True, slots=True, kw_only=True)
class LauncherSettings:
    """`[launchers.ssh]`: where runners are started."""

    hosts: tuple[str, ...] = field(
        default=(),
        metadata={"help": "Hosts as [user@]host[:port]; runners are spread over them in turn."},
    )
    backend: Backend = field(default="paramiko", metadata={"help": "Which SSH to use: paramiko or openssh."})
    connect_timeout_secs: int = field(default=30, metadata={"help": "Patience for a connection, in seconds."})
    command_timeout_secs: int = field(default=60, metadata={"help": "Patience for a command, in seconds."})
    ssh_config: str | None = field(
        default=None, metadata={"help": "OpenSSH configuration file to read; not set: the user's own."}
    )
