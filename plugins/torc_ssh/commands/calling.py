"""Asks the agent of a host: finds torc there, and tells apart what may be in the way (`remote.md` RW10, RW10a, RW69)."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torc_core import __version__
from torc_core.errors import TorcError
from torc_core.model import Json
from torc_ssh.agent.asked import COMMAND, PROTOCOL
from torc_ssh.connection import Connection, Ran, Stream
from torc_ssh.framing import NoAnswer, Unframed, answer, new_marker

Told = dict[str, Json]

MISSING = "torc-missing"

FIND = (
    "w=$1; shift; "
    'for t do case $t in "~/"*) t="$HOME/${t#??}";; esac; '
    'if command -v "$t" >/dev/null 2>&1; then exec "$t" $w; fi; done; '
    "for p in python3 python; do "
    'if "$p" -c "import torc_core" >/dev/null 2>&1; then exec "$p" -m torc_core $w; fi; done; '
    f'echo "{MISSING} $PATH"; exit 127'
)
"""Runs the first torc of those that are named, with the words of its first argument.

NOTE: it stands in single quotes on the command line of any login shell, so it is free of `!`, backslashes and line ends.
"""

SAME = "install the same version on all machines, or --skip-version-check (not recommended)"
VERSION = re.compile(r"^torc ([0-9][^\s(]*)", re.MULTILINE)


class HostTrouble(TorcError):
    """the other side cannot do what is asked of it"""

    code = "remote"

    def __init__(self, message: str, kind: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        """`missing`, `too_old`, `version`, `no_shell`, `no_answer`, `refused`."""


def candidates(configured: str) -> Sequence[str]:
    """Where torc is looked for on a host: what is configured, the path, the home, where it is here."""
    beside = os.path.join(os.path.dirname(sys.executable), "torc")
    return list(dict.fromkeys((configured, "torc", "~/.local/bin/torc", beside)))


def command(words: str, configured: str) -> str:
    """The one command line that is given to the login shell of a host."""
    return shlex.join(["sh", "-c", FIND, "torc", words, *candidates(configured)])


class Agent:
    """The agent of one host.

    Parameters
    ----------
    host
        As messages name it.
    configured
        `client.remote.torc_command`.
    """

    def __init__(self, connection: Connection, host: str, configured: str) -> None:
        self._connection = connection
        self._host = host
        self._configured = configured

    def ask(self, action: str, request: Mapping[str, Json], deadline: float | None = None) -> Told:
        """Have it do something.

        Raises
        ------
        HostTrouble
            If there is no agent, or it does not understand.
        Unreachable
            If the connection fails, or there is no answer in time.
        """
        marker = new_marker()
        ran = self._connection.run(
            command(COMMAND, self._configured), _request(action, request, marker), deadline
        )
        try:
            told = json.loads(answer(ran.stdout, marker))
        except (NoAnswer, ValueError) as error:
            raise self._why(ran, error) from error
        return self._judged(told)

    @contextmanager
    def stream(
        self, action: str, request: Mapping[str, Json], silence: float | None = None
    ) -> Iterator[tuple[Told, Iterator[bytes]]]:
        """Have it send something: the head of its answer, and the bytes that follow. Raises as `ask`."""
        marker = new_marker()
        with self._connection.stream(
            command(COMMAND, self._configured), _request(action, request, marker), silence
        ) as stream:
            pieces = _unframed(stream, marker)
            head = b""
            try:
                while b"\n" not in head and (piece := next(pieces, b"")):
                    head += piece
                line, newline, rest = head.partition(b"\n")
                told = json.loads(line) if newline else None
            except (NoAnswer, ValueError) as error:
                raise self._why(stream.ended(), error) from error
            if told is None:
                raise self._why(stream.ended(), NoAnswer("no answer"))
            yield self._judged(told), _chained(rest, pieces)

    def version(self) -> str | None:
        """What `torc --version` says there, without what stands in parentheses; None: nothing like it."""
        ran = self._connection.run(command("--version", self._configured))
        text = (ran.stdout + b"\n" + ran.stderr).decode("utf-8", "replace")
        found = VERSION.search(text)
        return found[1] if found else None

    def _judged(self, told: object) -> Told:
        if not isinstance(told, dict):
            raise HostTrouble(f"the answer of torc on {self._host} is not understood", "no_answer")
        if told.get("status") == "protocol" or told.get("protocol") != PROTOCOL:
            raise HostTrouble(
                f"torc on {self._host} ({told.get('version')}) speaks another protocol than torc {__version__} here; "
                "install the same version on all machines",
                "version",
                SAME,
            )
        if told.get("status") in ("error", "unknown_action"):
            raise HostTrouble(str(told.get("message") or "it does not know what to do"), "refused")
        return told

    def _why(self, ran: Ran, error: Exception) -> HostTrouble:
        """What an answer that is none means."""
        text = ran.stdout.decode("utf-8", "replace")
        if MISSING in text:
            path = text.rpartition(MISSING)[2].strip().splitlines()[0:1]
            return HostTrouble(
                f"torc not found (PATH={path[0] if path else ''}); set client.remote.torc_command or install it",
                "missing",
            )
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines()
        version = self.version()
        if version is not None and version != __version__:
            return HostTrouble(
                f"torc on {self._host} is too old ({version}) for 'remote run'; install {__version__}",
                "too_old",
                SAME,
            )
        last = f": {said[-1]}" if said else ""
        # The shell that looks for torc calls itself so: it is there, and what the file found begins with is not.
        begun = ran.status == 127 and bool(said) and said[-1].startswith("torc:")
        if version is None and (ran.status == 126 or begun):
            return HostTrouble(f"torc on {self._host} cannot be run{last}", "missing")
        if version is None and ran.status == 127 and not text.strip():
            return HostTrouble(
                f"Could not determine the remote shell on {self._host}{last}; a POSIX shell 'sh' is needed (Windows is "
                "not supported)",
                "no_shell",
            )
        more = f" ({said[-1][:200]})" if said else ""
        return HostTrouble(f"torc on {self._host} gave {error}{more}", "no_answer")


def _request(action: str, request: Mapping[str, Json], marker: str) -> bytes:
    told = {"protocol": PROTOCOL, "marker": marker, "action": action, **request}
    return json.dumps(told, default=dict).encode("ascii") + b"\n"


def _unframed(stream: Stream, marker: str) -> Iterator[bytes]:
    unframed = Unframed(marker)
    while piece := stream.read():
        if rest := unframed.feed(piece):
            yield rest
    unframed.end()


def _chained(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from pieces
