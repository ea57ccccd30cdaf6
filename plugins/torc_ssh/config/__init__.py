"""The configuration of OpenSSH, read as OpenSSH reads it (`remote.md` RW62)."""

from __future__ import annotations

from torc_ssh.config.hops import Hop, hops
from torc_ssh.config.options import Options, StrictHostKeys
from torc_ssh.config.resolve import SshConfig

__all__ = ["Hop", "Options", "SshConfig", "StrictHostKeys", "hops"]
