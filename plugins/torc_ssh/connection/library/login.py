"""Logging in: who may, with which key, within the time there is, and never a question to the user."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from paramiko import Message, PKey, SSHException

from torc_ssh.connection.library.agent import AgentError, AgentKey

if TYPE_CHECKING:
    from torc_ssh.connection.library.line import Line

SERVICE_REQUEST, SERVICE_ACCEPT = 5, 6
_REQUEST, _FAILURE, _SUCCESS, _BANNER, _KEY_OK = 50, 51, 52, 53, 60
_CERTIFICATE = "-cert-v01@openssh.com"
_RSA = ("rsa-sha2-512", "rsa-sha2-256")


class Ended(Exception):
    """The server hung up."""


class Login:
    """One login over a line; paramiko hands it the messages that concern it."""

    def __init__(self, line: Line, user: str, deadline: float) -> None:
        self._line = line
        self._user = user
        self._deadline = deadline
        self._answers: queue.SimpleQueue[tuple[int, Message] | None] = queue.SimpleQueue()
        self._done = False
        self.methods: tuple[str, ...] = ()
        """What the server says could go on."""

    def begin(self) -> bool:
        """Ask for the service, and whether anybody may in; True: nothing more is needed.

        Raises
        ------
        Ended
            If the server hung up.
        TimeoutError
            If it does not answer in time.
        """
        message = Message()
        message.add_byte(bytes([SERVICE_REQUEST]))
        message.add_string("ssh-userauth")
        self._line.send(message)
        self._answer(SERVICE_ACCEPT)
        return self._try("none")

    def offer(self, key: PKey) -> bool:
        """Whether the server lets us in with this key. Raises as `begin`."""
        certificate = getattr(key, "public_blob", None)
        name = certificate.key_type if certificate else key.get_name()
        blob = certificate.key_blob if certificate else key.asbytes()
        algorithm = self._algorithm(name)
        if algorithm is None:
            return False
        # A key of an agent is used only when the server wants it: its user may be asked for every use.
        if isinstance(key, AgentKey) and not self._try("publickey", False, algorithm, blob):
            return False
        try:
            signature = key.sign_ssh_data(self._signed(algorithm, blob), algorithm)
        except (AgentError, SSHException):
            return False
        return self._try("publickey", True, algorithm, blob, signature.asbytes())

    def _algorithm(self, name: str) -> str | None:
        """How to sign with a key of this kind: RSA as the server likes it, never with SHA-1."""
        accepted = self._line.preferred_pubkeys
        plain = name.removesuffix(_CERTIFICATE)
        end = name[len(plain) :]
        if plain != "ssh-rsa":
            return name if plain in accepted or plain.startswith("sk-") else None
        inside: Any = self._line
        told = inside.server_extensions.get("server-sig-algs", b"")
        liked = (told.decode(errors="replace") if isinstance(told, bytes) else told).split(",")
        usable = [one for one in _RSA if one in accepted]
        best = [one for one in usable if one in liked or liked == [""]]
        return f"{best[0]}{end}" if best else None

    def _signed(self, algorithm: str, blob: bytes) -> bytes:
        message = Message()
        message.add_string(self._line.session_id or b"")
        self._head(message, "publickey")
        message.add_boolean(True)
        message.add_string(algorithm)
        message.add_string(blob)
        return message.asbytes()

    def _head(self, message: Message, method: str) -> None:
        message.add_byte(bytes([_REQUEST]))
        message.add_string(self._user)
        message.add_string("ssh-connection")
        message.add_string(method)

    def _try(self, method: str, *more: str | bytes | bool) -> bool:
        message = Message()
        self._head(message, method)
        for one in more:
            message.add_boolean(one) if isinstance(one, bool) else message.add_string(one)
        self._line.send(message)
        kind, answer = self._answer(_SUCCESS, _FAILURE, _KEY_OK)
        if kind == _FAILURE:
            self.methods = tuple(answer.get_list())
        return kind != _FAILURE

    def _answer(self, *kinds: int) -> tuple[int, Message]:
        while True:
            try:
                found = self._answers.get(timeout=max(0.0, self._deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError from None
            if found is None:
                raise Ended
            if found[0] in kinds:
                return found

    # What paramiko asks of whoever authenticates

    @property
    def _handler_table(self) -> Mapping[int, Callable[[Message], None]]:
        return {kind: self._hearing(kind) for kind in (_FAILURE, _SUCCESS, _BANNER, _KEY_OK)}

    def _hearing(self, kind: int) -> Callable[[Message], None]:
        def heard(message: Message) -> None:
            if kind == _SUCCESS:
                self._done = True
                inside: Any = self._line
                inside._auth_trigger()  # noqa: SLF001 - the library's own way to say that one is in
            self._answers.put((kind, message))

        return heard

    def service_accepted(self, message: Message) -> None:
        """The server is ready to listen."""
        self._answers.put((SERVICE_ACCEPT, message))

    def is_authenticated(self) -> bool:
        """Whether we are in."""
        return self._done

    def get_username(self) -> str:
        """As whom."""
        return self._user

    def abort(self) -> None:
        """The line has ended."""
        self._answers.put(None)
