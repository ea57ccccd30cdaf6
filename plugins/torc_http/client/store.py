"""A store that lives behind a server: every verb of the protocol is one request."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from torc_core import __version__
from torc_core.errors import Unavailable, Unreached
from torc_core.model import Assignment, Event, JobId, Orders, Severity, Turn, WorkflowId
from torc_core.protocols.distant import Hello, LogPiece
from torc_core.store import codec
from torc_core.store.calls import CALLS, ONCE
from torc_http.client.line import Answer, Line
from torc_http.client.refusals import is_busy, is_told, refusal
from torc_http.client.versions import HEADER, compare
from torc_http.routes import BASE
from torc_http.wire import values

TRIES, LONGEST_PAUSE = 8, 1.0
"""How often a call is made whose answer is lost, and most seconds in between."""

BUSY = 60.0
"""Seconds for which a server is asked again that has so much of one kind to do that it has not begun with ours."""

FORGOTTEN = "the server at {} has forgotten who we are; ask again"

OK = (200, 202)
NO_ORDERS = "the server has answered a runner with something else than orders"

BEAT_PATIENCE, TURN_PATIENCE = 20.0, 60.0
"""Seconds that the answer to a beat, and to another turn that waits for nothing, may take (`runner.md` §9.1)."""

MARGIN = 40.0
"""Seconds that the answer to a held turn may take longer than the turn is held."""


class Signer(Protocol):
    """What proves who asks, and who answers (`security.md` S6)."""

    def sign(self, method: str, path: str, body: bytes) -> Mapping[str, str]:
        """Headers that go with a request."""
        ...

    def accept(self, answer: Answer, headers: Mapping[str, str]) -> bool:
        """Whether an answer to a request with these headers is to be taken; False: ask again, signed anew.

        Raises
        ------
        Unproven
            If the server cannot prove that it holds the key.
        """
        ...


class Unsigned:
    """For servers that know us by other means, or not at all."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self._headers = dict(headers or {})

    def sign(self, method: str, path: str, body: bytes) -> Mapping[str, str]:
        """The same headers each time."""
        return self._headers

    def accept(self, answer: Answer, headers: Mapping[str, str]) -> bool:
        """Every answer."""
        return True


class HttpStore:
    """The `Store` protocol over HTTP; any number of threads.

    A call is made again by itself only where that has the effect of one: most verbs are made so, the others carry an
    idempotency key.

    Parameters
    ----------
    patience
        Seconds that the server may take to answer.
    check_version
        Whether a server of another release is objected to.
    key_folder
        Where keys of servers of this user lie; None: nowhere.
    """

    def __init__(
        self,
        line: Line,
        signer: Signer,
        patience: float,
        *,
        check_version: bool = False,
        key_folder: Path | None = None,
    ) -> None:
        self._key_folder = key_folder
        self._line = line
        self._signer = signer
        self._patience = patience
        self._was_there = False
        self._unchecked = check_version
        self._server_id: str | None = None
        self._job_base: str | None = None

    @property
    def server_id(self) -> str:
        """Which store this is."""
        if self._server_id is None:
            self._server_id = str(self.call("server_id"))
        return self._server_id

    @property
    def url(self) -> str:
        """The address as people know it."""
        return self._line.place.name

    def job_url(self, given: Assignment) -> str | None:
        """The address that a job may use: that of this store, with the job's capability."""
        if given.capability is None:
            return None
        base = self._job_base
        if base is None:
            base = self._job_base = self._bare_url()
        return f"{base}/t/{given.capability}{BASE}"

    def _bare_url(self) -> str:
        """Scheme, host and port under which jobs of this host reach the server."""
        place = self._line.place
        if place.socket is None:
            return place.name.removesuffix(place.prefix).removesuffix("/")
        return self.addresses()[0].removesuffix(BASE)

    def addresses(self) -> Sequence[str]:
        """Every address of the server: those of loopback first."""
        return [str(one) for one in json.loads(self.ask("GET", "/x/server", b"").body)["urls"]]

    def runner_key(self, workflow: WorkflowId) -> str:
        """What a runner of this workflow shows on another host: derived from the server's key where that is known."""
        from torc_http.client.runner_key import runner_key

        return runner_key(self, workflow, self._key_folder)

    def hello(self) -> Hello:
        """Ask the server who it is."""
        told = json.loads(self.ask("GET", "/version", b"").body)
        # NOTE: servers before 0.23 answer with the bare version.
        if isinstance(told, str):
            return Hello(version=told)
        return Hello(version=str(told.get("version", "")), api_version=told.get("api_version"))

    def reload_auth(self) -> int:
        """Have the server read its password file again."""
        return int(json.loads(self.ask("POST", "/admin/reload-auth", b"").body)["user_count"])

    def follow(
        self,
        workflow: WorkflowId,
        *,
        after: int,
        level: Severity,
        types: Collection[str],
        seconds: float | None,
    ) -> Iterator[Event | None]:
        """Events as they happen, from a stream where the server has one."""
        from torc_http.client.events import Wish, counting_down, followed

        left = counting_down(seconds)
        return followed(self, Wish(workflow=workflow, after=after, level=level, types=types, left=left))

    def log(
        self,
        job: JobId,
        stream: str,
        *,
        run: int,
        attempt: int,
        tail: int | None = None,
        offset: int | None = None,
    ) -> LogPiece:
        """A part of what an attempt wrote, as far as the server can see the file."""
        given = {"stream": stream, "run": run, "attempt": attempt, "tail": tail, "offset": offset}
        query = urlencode({name: value for name, value in given.items() if value is not None})
        told = json.loads(self.ask("GET", f"/x/jobs/{job}/log?{query}", b"").body)
        return LogPiece(text=told["content"], next_offset=told["next_offset"], size=told["size_bytes"])

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        # NOTE: seventy methods that pass their arguments on; `CALLS` is the protocol itself, and a test holds it so.
        if name not in CALLS:
            raise AttributeError(name)

        def verb(*args: object, **named: object) -> Any:
            return self.call(name, *args, **named)

        verb.__name__ = name
        self.__dict__[name] = verb
        return verb

    def call(self, name: str, *args: object, **named: object) -> Any:
        """Have the server call its store.

        Raises
        ------
        TorcError
            What the verb raises there.
        Unavailable
            If the server is away, or said that it cannot now.
        """
        if self._unchecked and name in ONCE:
            # NOTE: before something is changed; else the first answer, which is asked for anyway, says it.
            self.ask("GET", "/version", b"")
        body = values.dumps({"args": list(args), "named": named})
        headers = {"Idempotency-Key": uuid.uuid4().hex} if name in ONCE else {}
        path = f"/x/store/{name}"
        if name == "turn" and isinstance(turn := args[0], Turn):
            # NOTE: made once, since a runner decides itself what follows.
            return _orders(turn, self._answered("POST", path, body, headers, _patience(turn)), path)
        return codec.loads(self.ask("POST", path, body, headers, None, TRIES).body)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
        tries: int = 1,
    ) -> Answer:
        """Send any request and take its answer; every status but 200 and 202 is an error.

        Raises
        ------
        TorcError
            As `call`.
        """
        answer = self._answered(method, path, body, headers, patience, tries)
        if answer.status not in OK:
            raise refusal(answer, f"{method} {path}")
        return answer

    def _answered(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
        tries: int = 1,
    ) -> Answer:
        """The answer to a request, whatever it says."""
        plain = {"Accept": "application/json", "User-Agent": f"torc/{__version__}", **(headers or {})}
        if body:
            plain["Content-Type"] = "application/json"
        end = time.monotonic() + BUSY
        while True:
            for _ in range(2):
                signed = self._signer.sign(method, self._line.place.prefix + path, body)
                headed = {**plain, **signed}
                answer = self._asked(method, path, body, headed, patience or self._patience, tries)
                if self._signer.accept(answer, signed):
                    break
            else:
                raise Unavailable(FORGOTTEN.format(self.url))
            if tries == 1 or not is_busy(answer) or time.monotonic() > end:
                break
            threading.Event().wait(random.uniform(0.1, LONGEST_PAUSE))  # noqa: S311 - spreads a herd
        self._check_version(answer)
        return answer

    def _asked(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], patience: float, tries: int
    ) -> Answer:
        """Ask; a call whose answer was lost is made again, and once there was an answer, one that reached nobody."""
        for left in reversed(range(tries)):
            try:
                answer = self._line.ask(method, path, body, headers, patience)
            except Unavailable as error:
                lost = not isinstance(error, Unreached) or (
                    self._was_there and self._line.place.socket is None
                )
                if not left or not lost or isinstance(error.__cause__, TimeoutError):
                    raise
                threading.Event().wait(random.uniform(0, LONGEST_PAUSE))  # noqa: S311 - spreads a herd
            else:
                self._was_there = True
                return answer
        raise AssertionError("unreachable: the last attempt returns or raises")

    @contextmanager
    def stream(self, path: str) -> Iterator[Callable[[float], str]]:
        """An answer without an end: what gives its next line, as `Line.stream` does; empty: it has ended after all.

        Raises
        ------
        TorcError
            As `call`.
        """
        signed = self._signer.sign("GET", self._line.place.prefix + path, b"")
        headers = {"Accept": "text/event-stream", "User-Agent": f"torc/{__version__}", **signed}
        with self._line.stream(path, headers, self._patience) as (answer, line):
            if not self._signer.accept(answer, signed):
                raise Unavailable(FORGOTTEN.format(self.url))
            self._check_version(answer)
            if answer.status != 200:
                raise refusal(answer, f"GET {path}")
            yield lambda patience: line(patience).decode("utf-8", "replace")

    def _check_version(self, answer: Answer) -> None:
        if self._unchecked:
            compare(__version__, answer.headers.get(HEADER), self.url)
            self._unchecked = False


def _orders(turn: Turn, answer: Answer, path: str) -> Orders:
    """What an answer to a turn says. Nothing but what a store says ends a runner, and with it its jobs (`runner.md` §1).

    Raises
    ------
    TorcError
        As the store did.
    Unavailable
        If it is nobody's answer, or that of a bug: a runner asks again.
    """
    if answer.status not in OK:
        error = refusal(answer, f"POST {path}")
        raise error if is_told(answer) else Unavailable(str(error), hint=error.hint, details=error.details)
    try:
        orders = values.loads(answer.body)
    except (ValueError, TypeError) as error:
        raise Unavailable(NO_ORDERS) from error
    if not isinstance(orders, Orders) or len(orders.endings) != len(turn.endings):
        raise Unavailable(NO_ORDERS)
    return orders


def _patience(turn: Turn) -> float:
    """Seconds that the answer to a turn may take."""
    if turn.offer is not None:
        return turn.offer.wait_ms / 1000 + MARGIN
    return TURN_PATIENCE if turn.endings or turn.starts or turn.give_back else BEAT_PATIENCE
