"""What `HttpStore` shows to a server, and what it asks of its answers: key, token, password, or nothing (`security.md` §3.4)."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult

from torc_core.errors import Forbidden, Invalid, NotFound, Unavailable
from torc_core.protocols import Clock
from torc_http.auth import keyfile, tokens
from torc_http.auth.capability import parsed
from torc_http.auth.keyfile import KeyFile
from torc_http.auth.session import FORGOTTEN, HEADER, ClientSession, Seal, Unproven
from torc_http.client.line import Line
from torc_http.client.store import Signer, Unsigned

if TYPE_CHECKING:
    from torc_core.config.credentials import Credentials
    from torc_http.client.line import Answer

OPEN = "/x/auth/session"
PATIENCE = 30.0
LONGEST = 65_536


class Sealed(dict[str, str]):
    """Headers of a signed request, with what its answer is judged by."""

    seal: Seal


class Signed:
    """Signs every request with a key, and takes no answer that does not prove the same key (S6, S8)."""

    def __init__(self, keys: Sequence[KeyFile], line: Line, clock: Clock, headers: Mapping[str, str]) -> None:
        self._line = line
        self._headers = dict(headers)
        place = line.place
        host = f"[{place.host}]" if ":" in place.host else place.host
        self._session = ClientSession(keys, place.socket or f"{host}:{place.port}", self._open, clock)

    def sign(self, method: str, path: str, body: bytes) -> Mapping[str, str]:
        """Headers that go with a request.

        Raises
        ------
        Unproven
            If the server does not hold the key.
        """
        seal = self._session.sign(method, path, body)
        headers = Sealed({**self._headers, "Authorization": seal.authorization})
        headers.seal = seal
        return headers

    def accept(self, answer: Answer, headers: Mapping[str, str]) -> bool:
        """Whether an answer is to be taken; False: the server knows the session no more, ask again.

        Raises
        ------
        Unproven
            If it is no answer of the server that holds the key.
        """
        assert isinstance(headers, Sealed)
        seal = headers.seal
        stream = answer.headers.get("content-type", "").startswith("text/event-stream")
        try:
            self._session.check(
                seal, answer.status, answer.headers.get(HEADER.lower()), None if stream else answer.body
            )
        except Unproven:
            if answer.status != FORGOTTEN:
                raise
            self._session.forget(seal)
            return False
        return True

    def _open(self, told: dict[str, str]) -> tuple[int, Any]:
        body = json.dumps(told).encode("ascii")
        headers = {**self._headers, "Content-Type": "application/json", "Accept": "application/json"}
        answer = self._line.ask("POST", OPEN, body, headers, PATIENCE)
        try:
            return answer.status, json.loads(answer.body)
        except ValueError:
            return answer.status, None


def signer(url: SplitResult, credentials: Credentials, line: Line, clock: Clock) -> Signer:
    """What goes with requests to this address.

    Over the Unix socket of our own user and under an address with a token: nothing. Else the key of the server, if one
    is known; else the token or the password that was given.

    Raises
    ------
    Forbidden, Invalid, NotFound
        If the file that was named is no key and no token of this user alone.
    """
    headers = {"Cookie": credentials.cookie_header} if credentials.cookie_header else {}
    if url.scheme == "unix":
        # NOTE: a server of root takes nobody by his user id (K5), so that root shows its key there too.
        keys = keyfile.of_socket(credentials.key_folder, url.path) if os.geteuid() == 0 else ()
        return Signed(keys, line, clock, headers) if keys else Unsigned(headers)
    if url.path.startswith("/t/"):
        return Unsigned(headers)
    if credentials.token_file:
        shown = secret_of(Path(credentials.token_file).expanduser())
        if isinstance(shown, str):
            return Unsigned({**headers, "Authorization": f"Bearer {shown}"})
        return Signed([shown], line, clock, headers)
    keys = keyfile.found(credentials.key_folder, url.geturl())
    if keys:
        return Signed(keys, line, clock, headers)
    if credentials.password:
        pair = f"{credentials.username}:{credentials.password}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")
    return Unsigned(headers)


def pinned(url: SplitResult, credentials: Credentials) -> str | None:
    """The fingerprint by which the certificate of a server is known (S11).

    A certificate authority that was named goes before it, and so does the wish to check nothing.
    """
    if url.scheme != "https" or credentials.ca_cert or credentials.insecure:
        return None
    if credentials.token_file:
        shown = secret_of(Path(credentials.token_file).expanduser())
        return None if isinstance(shown, str) else shown.fingerprint
    keys = keyfile.found(credentials.key_folder, url.geturl())
    return next((key.fingerprint for key in keys if key.fingerprint), None)


def secret_of(path: Path) -> KeyFile | str:
    """The key or the token in a file that is this user's alone.

    Raises
    ------
    Forbidden, Invalid, NotFound
        If it is not.
    """
    text = _private_text(path)
    if text.startswith("{"):
        return keyfile.read(path)
    token = text.strip()
    if not (tokens.looks_like(token) or parsed(token)):
        raise Invalid(f"'{path}' holds neither a key of a server nor a token")
    return token


def _private_text(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file '{path}' with a key or a token") from error
    except OSError as error:
        raise Unavailable(f"'{path}' cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
            raise Forbidden(f"'{path}' is not a plain file of yours; it is not used")
        if about.st_mode & 0o077:
            raise Forbidden(
                f"'{path}' is open to others (mode {stat.S_IMODE(about.st_mode):04o}); run 'chmod 600 {path}'"
            )
        return file.read(LONGEST).decode("utf-8", "replace")
