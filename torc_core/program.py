"""Puts one run of `torc` together: configuration, plugins, options, command, answer."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Group, Parameter

from torc_core import __version__
from torc_core.boundary import Boundary
from torc_core.config import Config
from torc_core.config.declare import Color, LogLevel
from torc_core.errors import UsageError
from torc_core.host import Host
from torc_core.misuse import sentence
from torc_core.session import Answer, Format, Session
from torc_core.system import SystemClock

VERBATIM = frozenset({"--", ":::", "::::", ":::+", "::::+"})
"""From the first of these words on, everything belongs to the command, whatever it looks like."""

TRACE = 5
LEVELS = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}

Switch = Annotated[bool, Parameter(negative=(), show_default=False)]

SHARED = Group("Global options", sort_key=100)


def run(words: Sequence[str], boundary: Boundary) -> int:
    """Run one command; the exit code of its answer.

    Raises
    ------
    TorcError
        Whatever the command raises; `UsageError` if the words make no sense.
    """
    umask = os.umask(
        0o077
    )  # NOTE: what torc writes is for its user alone (`security.md` D1); jobs get theirs back.
    end = next((place for place, word in enumerate(words) if word in VERBATIM), len(words))
    head, verbatim = list(words[:end]), list(words[end:])
    config = Config.load(user_file=_config_file(head))
    host = Host.load(config, tolerant=_first_command(head) == "plugins")
    app = App(
        name="torc",
        help="Run many jobs on many machines: workflows, command lists, single commands.",
        version=f"torc {__version__}",
        version_flags=["--version", "-V"],
        help_flags=["--help", "-h"],
        help_format="plaintext",
    )
    host.manager.hook.torc_commands(app=app)
    app.meta.group_parameters = SHARED

    @app.meta.default
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        url: str | None = None,
        db: Path | None = None,
        store: str | None = None,
        standalone: Annotated[Switch, Parameter(name=("--standalone", "-s"))] = False,
        format: Annotated[Format | None, Parameter(name=("--format", "-f"))] = None,
        json: Switch = False,
        log_level: LogLevel | None = None,
        quiet: Annotated[Switch, Parameter(name=("--quiet", "-q"))] = False,
        verbose: Annotated[Switch, Parameter(name=("--verbose", "-v"))] = False,
        color: Color | None = None,
        no_color: Switch = False,
        no_progress: Switch = False,
        username: str | None = None,
        config: Annotated[Path | None, Parameter(name="--config")] = None,
    ) -> int:
        """Run many jobs on many machines.

        Parameters
        ----------
        url
            Address of a server.
        db
            SQLite file to work on.
        store
            Any store, by URL: sqlite:///path, or a scheme that a plugin offers.
        standalone
            The database ./torc_output/torc.db, whatever is configured.
        format
            How results are printed; also client.format.
        json
            The same as --format json.
        log_level
            What is told on stderr; also client.log_level.
        quiet
            No notes, no progress.
        verbose
            The same as --log-level debug.
        color
            Whether output is coloured; also client.color.
        no_color
            The same as --color never.
        no_progress
            No live lines.
        username
            In whose name; also client.username.
        config
            Configuration file instead of the user's own.
        """
        if json and format not in (None, "json"):
            raise UsageError(f"'--json' and '--format {format}' exclude each other; give only one of them")
        flags = {
            "client.api_url": (url, "--url"),
            "client.database": (db and str(db), "--db"),
            "flag.store": (store, "--store"),
            "flag.standalone": (standalone or None, "--standalone"),
            "client.format": ("json" if json else format, "--json" if json else "--format"),
            "client.log_level": (
                "debug" if verbose else log_level,
                "--verbose" if verbose else "--log-level",
            ),
            "client.color": ("never" if no_color else color, "--no-color" if no_color else "--color"),
            "client.username": (username, "--username"),
        }
        session = _session(host, flags, quiet=quiet, progress=not no_progress, umask=umask)
        boundary.json = session.format == "json"
        boundary.debug = session.config.client.log_level in ("debug", "trace")
        try:
            return _answer(app, [*tokens, *verbatim], session)
        finally:
            session.close()

    try:
        code: int = app.meta(head, exit_on_error=False, print_error=False, result_action="return_value") or 0
    except CycloptsError as error:
        raise UsageError(sentence(error, app)) from error
    return code


def _answer(app: App, tokens: Sequence[str], session: Session) -> int:
    command, bound, asked = app.parse_args(tokens, exit_on_error=False, print_error=False)
    given = {name: session for name, kind in asked.items() if kind is Session}
    for problem in session.config.warnings:
        session.warn(str(problem))
    answer: Answer | str | None = command(*bound.args, **bound.kwargs, **given)
    if answer is None:
        return 0
    if isinstance(answer, str):
        answer = Said(answer)
    answer.render(session)
    return answer.exit_code


class Said:
    """The answer of a command that returned a text."""

    exit_code = 0

    def __init__(self, text: str) -> None:
        self.text = text

    def render(self, session: Session) -> None:
        """Print it, in JSON as an outcome (C10)."""
        if session.format == "csv":
            raise UsageError("this command has no table to write as csv; use '-f json'")
        if session.format == "json":
            import json

            print(json.dumps({"schema": "torc.outcome/1", "status": "success", "message": self.text}))
        else:
            print(self.text)


def _session(
    host: Host, flags: Mapping[str, tuple[Any, str]], *, quiet: bool, progress: bool, umask: int
) -> Session:
    config = host.config.over({name: flag for name, flag in flags.items() if flag[0] is not None})
    client = config.client
    _set_up_logging(client.log_level)
    tty, tty_err = sys.stdout.isatty(), sys.stderr.isatty()
    dumb = config.environ.get("TERM") == "dumb"

    def colored(terminal: bool) -> bool:
        return client.color == "always" or (client.color == "auto" and terminal)

    return Session(
        host=host,
        config=config,
        clock=SystemClock(),
        format=client.format,
        quiet=quiet,
        verbose=client.log_level in ("debug", "trace"),
        color=colored(tty),
        color_err=colored(tty_err),
        tty=tty,
        tty_err=tty_err,
        progress=progress and tty_err and not quiet and not dumb,
        interactive=sys.stdin is not None and sys.stdin.isatty() and tty_err,
        umask=umask,
    )


class _Stderr(logging.Handler):
    """Writes to what stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


def _set_up_logging(level: LogLevel) -> None:
    logging.addLevelName(TRACE, "TRACE")
    root = logging.getLogger()
    handler = next((one for one in root.handlers if isinstance(one, _Stderr)), None)
    if handler is None:
        handler = _Stderr()
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
        root.addHandler(handler)
    root.setLevel(LEVELS[level])
    # NOTE: on the handler too: a log file of its own may want more than stderr does.
    handler.setLevel(LEVELS[level])


def _config_file(words: Sequence[str]) -> Path | None:
    """The file of `--config`, needed before the plugins are known, and with them the commands and their options."""
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == "--config":
            if not equals and place + 1 == len(words):
                raise UsageError("'--config' needs the name of a file")
            return Path(value if equals else words[place + 1]).expanduser().absolute()
    return None


def _first_command(words: Sequence[str]) -> str | None:
    return next((word for word in words if not word.startswith("-")), None)


Command = Callable[..., Answer | str | None]
"""What plugins register with `torc_commands`."""
