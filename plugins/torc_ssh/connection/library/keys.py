"""Which keys are offered to a host, in which order, and why others are not (`remote.md` RW65)."""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from paramiko import ECDSAKey, Ed25519Key, Message, PasswordRequiredException, PKey, RSAKey, SSHException
from paramiko.pkey import PublicBlob

from torc_core.record import record
from torc_ssh.config import Options
from torc_ssh.connection.library.agent import Agent, AgentError, AgentKey
from torc_ssh.connection.library.certificates import Certificate

MOST_OFFERED = 6
"""A server that follows OpenSSH hangs up after so many."""

_OPENSSH = b"openssh-key-v1\0"
_CLASSES = (Ed25519Key, ECDSAKey, RSAKey)


@record(frozen=True, slots=True, kw_only=True)
class Offer:
    """A key to offer; `told`: how messages name it."""

    key: PKey
    told: str


class Keys:
    """The keys for one host, held for one login; leaving its context closes the agent.

    Parameters
    ----------
    note
        Is told of keys that are left out.
    patience
        Seconds for each answer of the agent.
    """

    def __init__(self, options: Options, note: Callable[[str], None], patience: float) -> None:
        self._options = options
        self._note = note
        self._stack = ExitStack()
        self.tried: list[str] = []
        """Where keys were looked for, for the message that there was none."""
        self._agent = self._ask_agent(patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def offers(self) -> list[Offer]:
        """At most six: certificates, those of the agent that are configured, files, others of the agent, usual files."""
        options = self._options
        plain = [key for key in self._agent if not key.public_blob]
        files = [_File(path) for path in options.identity_files]
        agreed = [(file, key) for file in files for key in plain if key.blob == file.public]
        configured = [Offer(key=key, told=_shown(file.path)) for file, key in agreed]
        in_agent = {key.blob for _, key in agreed}
        from_files = list(self._from_files(file for file in files if file.public not in in_agent))
        others: list[Offer] = []
        if not options.identities_only:
            others = [
                Offer(key=key, told=f"agent ({key.comment})") for key in plain if key.blob not in in_agent
            ]
        certificates = list(self._certificates(files, plain, [offer.key for offer in from_files]))
        if options.default_identities:
            ordered = [*certificates, *configured, *others, *from_files]
        else:
            ordered = [*certificates, *configured, *from_files, *others]
        return ordered[:MOST_OFFERED]

    def _ask_agent(self, patience: float) -> list[AgentKey]:
        configured = self._options.identity_agent
        path = os.environ.get("SSH_AUTH_SOCK", "") if configured is None else configured
        if not path:
            return []
        self.tried.append("agent")
        try:
            agent = Agent(path, patience)
            self._stack.callback(agent.close)
            return agent.keys()
        except AgentError as error:
            self._note(f"the ssh agent at {_shown(path)} cannot be used: {error}")
            return []

    def _from_files(self, files: Iterable[_File]) -> Iterator[Offer]:
        for file in files:
            self.tried.append(_shown(file.path))
            if not file.exists:
                continue
            try:
                yield Offer(key=file.private(), told=_shown(file.path))
            except _Unusable as error:
                self._note(f"key {_shown(file.path)} {error}")

    def _certificates(
        self, files: Sequence[_File], held: Sequence[AgentKey], loaded: Sequence[PKey]
    ) -> Iterator[Offer]:
        """Certificates of the agent, and those of files whose private key is at hand."""
        paths = [*self._options.certificate_files, *(f"{file.path}-cert.pub" for file in files)]
        for key in self._agent:
            if key.public_blob and not self._options.identities_only:
                yield Offer(key=key, told=f"agent ({key.comment})")
        for path in dict.fromkeys(paths):
            try:
                certificate = PublicBlob.from_file(path)
            except OSError:
                continue
            except (ValueError, SSHException, binascii.Error):
                self._note(f"certificate {_shown(path)} cannot be read")
                continue
            try:
                public = Certificate(certificate.key_blob).key
            except ValueError:
                self._note(f"certificate {_shown(path)} cannot be read")
                continue
            for key in held:
                if key.blob == public:
                    yield Offer(key=key.certified(certificate), told=_shown(path))
            for own in loaded:
                if own.asbytes() == public:
                    yield Offer(key=_with(own, certificate), told=_shown(path))


class _Unusable(Exception):
    """A key cannot be used, and why."""


class _File:
    """A key file; its public half is known even when it is encrypted."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with open(path, "rb") as file:
                self._text = file.read(1 << 17)
                self._mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                self._owner = os.fstat(file.fileno()).st_uid
        except OSError:
            self._text, self._mode, self._owner = b"", 0, 0
        self.exists = bool(self._text)
        self.public = self._public()

    def private(self) -> PKey:
        """The key itself.

        Raises
        ------
        _Unusable
            With the rest of a sentence that begins with the name of the key.
        """
        if b"PRIVATE KEY" not in self._text:
            raise _Unusable("is a public key, and not in the agent")
        if self._mode & 0o077 and self._owner == os.getuid():
            raise _Unusable(f"can be read by others (mode {self._mode:04o}) and is left out; chmod 600 it")
        encrypted = "is encrypted and not in the agent"
        header = self._header()
        if header and header[0] != "none":
            raise _Unusable(encrypted)
        if header and Message(header[1]).get_text().startswith("sk-"):
            raise _Unusable(
                "is on a security key; put it into the agent or set client.remote.backend = 'openssh'"
            )
        for kind in _CLASSES:
            try:
                key: PKey = kind.from_private_key_file(self.path)
            except PasswordRequiredException as error:
                raise _Unusable(encrypted) from error
            except (SSHException, ValueError, IndexError, UnsupportedAlgorithm, OSError):
                continue
            key.public_blob = None
            return key
        raise _Unusable("is no key that can be used")

    def _public(self) -> bytes | None:
        for text in (self._beside(), self._text):
            words = text.split()
            if len(words) >= 2 and words[0].startswith((b"ssh-", b"ecdsa-", b"sk-")):
                try:
                    return base64.b64decode(words[1], validate=True)
                except binascii.Error:
                    continue
        header = self._header()
        return header[1] if header else None

    def _beside(self) -> bytes:
        try:
            with open(f"{self.path}.pub", "rb") as file:
                return file.read(1 << 16)
        except OSError:
            return b""

    def _header(self) -> tuple[str, bytes] | None:
        """Cipher and public half in front of a private key in OpenSSH's own form."""
        _, begin, rest = self._text.partition(b"-----BEGIN OPENSSH PRIVATE KEY-----")
        if not begin:
            return None
        try:
            raw = base64.b64decode(rest.partition(b"-----END")[0])
        except binascii.Error:
            return None
        if not raw.startswith(_OPENSSH):
            return None
        message = Message(raw[len(_OPENSSH) :])
        try:
            cipher = message.get_text()
            message.get_binary()
            message.get_binary()
            return (cipher, message.get_binary()) if message.get_int() == 1 else None
        except (ValueError, IndexError):
            return None


def _with(key: PKey, certificate: PublicBlob) -> PKey:
    """A copy of a key that is offered with a certificate."""
    copy = object.__new__(type(key))
    copy.__dict__.update(key.__dict__)
    copy.public_blob = certificate
    return copy


def _shown(path: str) -> str:
    """A path as people write it."""
    home = os.path.expanduser("~")
    return f"~{path[len(home) :]}" if path.startswith(f"{home}/") else path
