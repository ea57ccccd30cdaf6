"""Puts one run of `torc` together: configuration, plugins, options, command, answer."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from cyclopts import App, CycloptsError

from torc_core import __version__
from torc_core.boundary import Boundary, values
from torc_core.config import Config
from torc_core.config.declare import Color, LogLevel
from torc_core.errors import UsageError
from torc_core.host import Host
from torc_core.misuse import sentence
from torc_core.options import BY_NAME, Flags, described, split
from torc_core.session import Answer, Session
from torc_core.system import SystemClock

TRACE = 5
LEVELS = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}

IN_MEMORY = ("run", "exec")
SNAPSHOTS = "stores.sqlite-memory.snapshot_interval_seconds"

PASSES_ON = "passes_on"
"""What a command calls the names of options that it takes for another program, as they are."""

Command = Callable[..., Answer | str | None]
"""What plugins register with `torc_commands`; a text that is returned is printed."""


def run(words: Sequence[str], boundary: Boundary) -> int:
    """Run one command; the exit code of its answer.

    Raises
    ------
    TorcError
        Whatever the command raises; `UsageError` if the words make no sense.
    """
    # NOTE: what torc writes is for its user alone (`security.md` D1); jobs get the user's own mask back.
    umask = os.umask(0o077)
    config = Config.load(user_file=_config_file(words))
    host = Host.load(config, tolerant=_first_command(words) == "plugins")
    app = _app(host)
    configured = config.given("client.format")
    boundary.json = boundary.json or (configured is not None and configured.value == "json")
    try:
        flags, rest = split(words, lambda command: _owned(app, command))
        boundary.json = flags["client.format"][0] == "json" if "client.format" in flags else boundary.json
        command, bound, asked = app.parse_args(rest, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise UsageError(sentence(error, app)) from error
    # PERF: what is loaded by now stays; without this the collector walks it all within the next few imports, in 7 ms.
    gc.freeze()
    gc.enable()
    if getattr(command, "__self__", None) is app:  # help or version: nothing to be given, nothing to be shown
        bound.arguments["console"] = _set_up_help(app, host.config.over(flags).client.color)
        command(*bound.args, **bound.kwargs)
        return 0
    _check_memory(flags, _first_command(rest))
    session = _session(host, flags, umask)
    boundary.debug = session.verbose
    for problem in session.config.warnings:
        session.warn(str(problem))
    if flags.get("flag.password", ("", ""))[1] == "--password":
        session.warn("--password is visible in process lists; use TORC_PASSWORD or --prompt-password")
    given = {name: session for name, kind in asked.items() if kind is Session}
    try:
        return _shown(command(*bound.args, **bound.kwargs, **given), session)
    finally:
        session.close()


def _app(host: Host) -> App:
    app = App(
        name="torc",
        help="Run many jobs on many machines: workflows, command lists, single commands.",
        help_flags=["--help", "-h"],
        help_format="plaintext",
        version=f"torc {__version__}",
        version_flags=["--version", "-V"],
    )
    host.manager.hook.torc_commands(app=app)
    return app


def _set_up_help(app: App, color: Color) -> object:
    # NOTE: what help is drawn with belongs to the parser of the command line; the core knows nothing that draws.
    console = type(app.console)(
        color_system=None if color == "never" else "auto", force_terminal=color == "always" or None
    )
    app.help_epilogue = described(console.width)
    return console


def _owned(app: App, words: Sequence[str]) -> Collection[str]:
    """Names of the options that the command has itself."""
    _, apps, _ = app.parse_commands(list(words))
    command = apps[-1].default_command
    if command is None or hasattr(command, "__self__"):  # of the app itself: help, version
        return ()
    names = {name for argument in apps[-1].assemble_argument_collection() for name in argument.names}
    return names | set(getattr(command, PASSES_ON, ()))


def _shown(answer: Answer | str | None, session: Session) -> int:
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


def _session(host: Host, flags: Flags, umask: int) -> Session:
    flag = flags.get("flag.password", ("", ""))[1]
    if flag == "--prompt-password":
        user = host.config.over(flags).client.username
        flags["flag.password"] = (_asked_password(user), flag)
    # NOTE: the host opens stores, and what they are shown, such as `--token-file`, is in the options.
    host.config = config = host.config.over(flags)
    client = config.client
    _set_up_logging(client.log_level)
    quiet = "flag.quiet" in flags
    tty, tty_err = sys.stdout.isatty(), sys.stderr.isatty()
    live = tty_err and not quiet and "flag.no_progress" not in flags
    return Session(
        host=host,
        config=config,
        clock=SystemClock(),
        format=client.format,
        quiet=quiet,
        verbose=client.log_level in ("debug", "trace"),
        color=client.color == "always" or (client.color == "auto" and tty),
        color_err=client.color == "always" or (client.color == "auto" and tty_err),
        tty=tty,
        tty_err=tty_err,
        progress=live and config.environ.get("TERM") != "dumb",
        interactive=sys.stdin is not None and sys.stdin.isatty() and tty_err,
        umask=umask,
    )


def _asked_password(user: str) -> str:
    import getpass

    if not sys.stdin.isatty():
        raise UsageError("no terminal to ask for the password on; set TORC_PASSWORD")
    return getpass.getpass(f"Password for {user}: ")


def _check_memory(flags: Flags, command: str | None) -> None:
    """A store in memory is for commands that fill it themselves (`cli.md` S4)."""
    if "flag.in_memory" in flags:
        if command not in IN_MEMORY:
            raise UsageError(f"--in-memory is for 'torc run' and 'torc exec' only, not for 'torc {command}'")
    elif given := flags.get(SNAPSHOTS):
        raise UsageError(f"{given[1]} is of use with --in-memory only")


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
    named = next(values(words, ("--config",)), None)
    return None if named is None else Path(named).expanduser().absolute()


def _first_command(words: Sequence[str]) -> str | None:
    _, rest = split(words, lambda command: BY_NAME)
    return next((word for word in rest if not word.startswith("-")), None)
