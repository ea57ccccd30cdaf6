"""The keys of an ssh-agent, asked for over its socket."""

from __future__ import annotations

import socket
import struct

from paramiko import Message, PKey
from paramiko.pkey import PublicBlob

_REQUEST_IDENTITIES, _IDENTITIES = 11, 12
_SIGN, _SIGNED = 13, 14
_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}
_CERTIFICATE = "-cert-v01@openssh.com"
_LONGEST_ANSWER = 1 << 20


class AgentError(Exception):
    """The agent does not answer as it should."""


class Agent:
    """A connection to an agent, for one login; a context that closes it.

    Parameters
    ----------
    patience
        Seconds for each answer. An agent that waits for its user gets no more.
    """

    def __init__(self, path: str, patience: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(patience)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise AgentError(str(error)) from error

    def keys(self) -> list[AgentKey]:
        """All keys and certificates it holds, in its order.

        Raises
        ------
        AgentError
            If it gives none.
        """
        kind, answer = self.ask(bytes([_REQUEST_IDENTITIES]))
        if kind != _IDENTITIES:
            raise AgentError("no keys were given")
        found = []
        for _ in range(answer.get_int()):
            blob, comment = answer.get_binary(), answer.get_text()
            found.append(AgentKey(self, blob, comment))
        return found

    def ask(self, message: bytes) -> tuple[int, Message]:
        """One question and its answer.

        Raises
        ------
        AgentError
            If there is no answer in time.
        """
        try:
            self._socket.sendall(struct.pack(">I", len(message)) + message)
            (length,) = struct.unpack(">I", self._exactly(4))
            if not 1 <= length <= _LONGEST_ANSWER:
                raise AgentError(f"an answer of {length} bytes")
            answer = self._exactly(length)
        except OSError as error:
            raise AgentError(str(error)) from error
        return answer[0], Message(answer[1:])

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = self._socket.recv(count - len(found))
            if not piece:
                raise AgentError("it went away")
            found += piece
        return found

    def close(self) -> None:
        """Leave it."""
        self._socket.close()


class AgentKey(PKey):
    """A key, or a certificate, whose private half only the agent has."""

    def __init__(
        self, agent: Agent, blob: bytes, comment: str, certificate: PublicBlob | None = None
    ) -> None:
        self._agent = agent
        self._blob = blob
        self._name = Message(blob).get_text()
        self.comment = comment
        own = PublicBlob(self._name, blob) if self._name.endswith(_CERTIFICATE) else None
        self.public_blob = certificate or own

    @property
    def blob(self) -> bytes:
        """The public half, as it is sent."""
        return self._blob

    def certified(self, certificate: PublicBlob) -> AgentKey:
        """The same key, to be offered with this certificate."""
        return AgentKey(self._agent, self._blob, self.comment, certificate)

    def get_name(self) -> str:
        return self._name

    def asbytes(self) -> bytes:
        return self._blob

    @property
    def _fields(self) -> tuple[object, ...]:
        return (self._name, self._blob)

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> Message:
        """A signature, as the login sends it.

        Raises
        ------
        AgentError
            If the agent, or its user, refuses.
        """
        message = Message()
        message.add_byte(bytes([_SIGN]))
        message.add_string(self._blob)
        message.add_string(data)
        message.add_int(_FLAGS.get((algorithm or "").removesuffix(_CERTIFICATE), 0))
        kind, answer = self._agent.ask(message.asbytes())
        if kind != _SIGNED:
            raise AgentError("it does not sign")
        return Message(answer.get_binary())
