"""Certificates of hosts: is this one good for that name, and who signed it (`PROTOCOL.certkeys` of OpenSSH)."""

from __future__ import annotations

import struct

from paramiko import Message, PKey, SSHException
from paramiko.pkey import UnknownKeyType

SUFFIX = "-cert-v01@openssh.com"
_HOST = 2
_NUMBERS = {"ssh-rsa": 2, "ssh-ed25519": 1}
"""Strings that the public key of a kind has; all other kinds have two."""


class Certificate:
    """A certificate, taken apart.

    Raises
    ------
    ValueError
        If it is none.
    """

    def __init__(self, blob: bytes) -> None:
        message = Message(blob)
        try:
            self.kind = message.get_text()
            plain = self.kind.removesuffix(SUFFIX)
            if plain == self.kind:
                raise ValueError(f"{self.kind} is no certificate")
            message.get_binary()
            key = Message()
            key.add_string(plain)
            for _ in range(_NUMBERS.get(plain, 2)):
                key.add_string(message.get_binary())
            self.key = key.asbytes()
            """The public key that it is about."""
            message.get_int64()
            self._type = message.get_int()
            message.get_binary()
            self._principals = _strings(message.get_binary())
            self._after, self._before = message.get_int64(), message.get_int64()
            self._critical = message.get_binary()
            message.get_binary()
            message.get_binary()
            self.authority = message.get_binary()
            """The public key of who signed it."""
            self._signed = message.get_so_far()
            self._signature = message.get_binary()
        except (struct.error, UnicodeDecodeError, IndexError) as error:
            raise ValueError("it cannot be read") from error

    def fault(self, host: str, now: float) -> str | None:
        """Why it does not prove that a host has this name; None: it does, if its authority is trusted.

        Parameters
        ----------
        now
            Seconds since 1970.
        """
        if self._type != _HOST:
            return "is not for hosts"
        if self._principals and host not in self._principals:
            return f"is not for {host}"
        if not self._after <= now < self._before:
            return "has expired" if now >= self._before else "is not yet valid"
        if self._critical:
            return "has conditions that are not known"
        try:
            authority = PKey.from_type_string(Message(self.authority).get_text(), self.authority)
            good = authority.verify_ssh_sig(self._signed, Message(self._signature))
        except (SSHException, UnknownKeyType, ValueError, struct.error):
            good = False
        return None if good else "is not signed by its authority"


def _strings(packed: bytes) -> list[str]:
    message = Message(packed)
    found = []
    while message.get_remainder():
        found.append(message.get_text())
    return found
