"""The one place where errors are told: a sentence for people, an object for programs, an exit code for both."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torc_core.errors import InvalidSpec, TorcError, UsageError
from torc_core.options import VERBATIM

INTERNAL = 70
"""Exit code of a bug (`EX_SOFTWARE` of sysexits.h)."""

INTERRUPTED = 130


class Boundary:
    """Turns what escapes from its block into an answer and an exit code.

    Parameters
    ----------
    words
        The command line: until the options are understood, it alone tells in which form errors are wanted.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.json = "--json" in words or "json" in values(words, ("-f", "--format"))
        self.debug = not {"debug", "trace"}.isdisjoint(values(words, ("--log-level",)))
        self.exit_code = 0

    def __enter__(self) -> Self:
        # NOTE: what our parent has closed is None, and the next file to be opened would take its number.
        for name in ("stdin", "stdout", "stderr"):
            if getattr(sys, name) is None:
                setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            if error is None:
                sys.stdout.flush()
                return True
            self.exit_code = self._tell(error)
        except BrokenPipeError as broken:
            self.exit_code = self._tell(broken)
        return True

    def _tell(self, error: BaseException) -> int:
        # Whoever prints the help says it in the context of an end.
        if isinstance(error.__context__ if isinstance(error, SystemExit) else error, BrokenPipeError):
            return _nobody_reads()
        if isinstance(error, SystemExit):
            return error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(error, FileNotFoundError) and error.filename is None:  # so `os.getcwd` says it
            error = UsageError("the working directory is gone; change into one that is there")
        if isinstance(error, TorcError):
            self._say(error.code, str(error), error.exit_code, error.hint, _details(error))
            if self.debug:
                _print_trace(error)
            return error.exit_code
        log = _keep_trace(error)
        said = f"internal error (please report): {type(error).__name__}: {error}, log: {log}"
        self._say("internal", said, INTERNAL)
        if self.debug:
            _print_trace(error)
        return INTERNAL

    def _say(
        self, code: str, message: str, exit_code: int, hint: str | None = None, details: Any = None
    ) -> None:
        if not self.json:
            text = message if code in ("internal", "invalid_spec") else f"error: {message}"
            print(text + (f"\nhint: {hint}" if hint else ""), file=sys.stderr, flush=True)
            return
        import json

        told: dict[str, Any] = {
            "schema": "torc.error/1", "status": "error", "code": code, "message": message, "exit_code": exit_code,
        }  # fmt: skip
        told |= {name: value for name, value in (("hint", hint), ("details", details)) if value}
        print(json.dumps(told, ensure_ascii=False), file=sys.stderr, flush=True)


def _details(error: TorcError) -> Any:
    if not isinstance(error, InvalidSpec):
        return None
    from torc_core.spec.complaint import Complaints

    if not isinstance(error, Complaints):
        return None
    return [
        {name: value for name, value in asdict(one).items() if name != "about"} for one in error.complaints
    ]


def values(words: Sequence[str], names: Collection[str]) -> Iterator[str]:
    """What these options are given on a command line that is not understood yet: `--option value` or `--option=value`."""
    for place, word in enumerate(words):
        if word in VERBATIM:
            return
        name, equals, value = word.partition("=")
        if name in names and (equals or place + 1 < len(words)):
            yield value if equals else words[place + 1]


def _nobody_reads() -> int:
    # NOTE: the interpreter flushes stdout once more at exit and would complain about the pipe again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _keep_trace(error: BaseException) -> str:
    import tempfile
    import traceback

    try:
        descriptor, name = tempfile.mkstemp(prefix="torc-error-", suffix=".log", dir=_log_folder())
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(" ".join(sys.argv[:1]) + "\n")
            file.writelines(traceback.format_exception(error))
    except OSError:
        _print_trace(error)
        return "(not written: no folder can be written to)"
    return name


def _log_folder() -> Path:
    """`$XDG_STATE_HOME/torc/log`, made for this user alone."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "torc/log"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _print_trace(error: BaseException) -> None:
    import traceback

    traceback.print_exception(error, file=sys.stderr)
