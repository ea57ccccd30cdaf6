"""`torc-server service`: have systemd start the server and keep it running (`cli.md` V5)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from torc_core.errors import Conflict, NotFound, Unavailable, UsageError
from torc_core.given import Given
from torc_core.session import Session
from torc_http.program.opening import database_path

app = App(name="service", help="Have the system start the server and keep it running.")

UNIT = "torc-server.service"
RUNNING = Path("/run/systemd/system")
"""Is there where systemd runs the host."""

PATHS = frozenset(
    ("--database", "-d", "--auth-file", "--tls-cert", "--tls-key", "--log-dir", "--backup-dir", "--pid-file")
)
"""Options of `torc-server run` that are paths."""

User = Annotated[bool, Parameter(negative=(), show_default=False)]

TEMPLATE = """[Unit]
Description=torc server
After=network-online.target
Wants=network-online.target

[Service]
Type=simple
ExecStart={command}
Restart=on-failure
RestartSec=2
KillSignal=SIGTERM
TimeoutStopSec=30
UMask=0077
NoNewPrivileges=true
{more}
[Install]
WantedBy={wanted}
"""


def understood(words: Sequence[str]) -> list[str]:
    """Options of `torc-server run` for a service, which starts in another folder than this one.

    Raises
    ------
    UsageError
        If there is no such option, or it makes no sense for a service.
    """
    from cyclopts import CycloptsError

    from torc_core.misuse import sentence

    program = _run()
    try:
        _, bound, _ = program.parse_args(list(words), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise UsageError(sentence(error, program)) from error
    if bound.arguments.get("daemon"):
        raise UsageError("systemd keeps the server running in the background; leave --daemon out")
    made: list[str] = []
    for word in words:
        option, equals, value = word.partition("=")
        if made and made[-1] in PATHS:
            made.append(_absolute(word))
        elif equals and option in PATHS:
            made.append(f"{option}={_absolute(value)}")
        else:
            made.append(word)
    return made


def _run() -> App:
    """`torc-server run` by itself."""
    from torc_http.program.run import run

    program = App(name="torc server run")
    program.default(run)
    return program


def _names_of_run() -> frozenset[str]:
    return frozenset(name for one in _run().assemble_argument_collection() for name in one.names)


def _absolute(path: str) -> str:
    return path if path == ":memory:" else str(Path(path).expanduser().absolute())


@app.command
def install(
    *run_options: Annotated[str, Parameter(allow_leading_hyphen=True)], user: User = False, session: Given
) -> str:
    """Write a unit for systemd, enable and start it; the options are those of `torc-server run`.

    torc-server service install --user --port 8085 --host auto

    Parameters
    ----------
    run_options
        Passed on to `torc-server run`.
    user
        For this account only; normally for the whole host, which needs root.
    """
    words = understood(run_options)
    _require(session, user)
    database, logs = _places(session, user)
    if "client.database" in session.config.layers.get("flag", {}):
        database = database_path(session.config)
    if not any(word in ("-d", "--database") or word.startswith("--database=") for word in words):
        words += ["--database", str(database)]
    if not any(word == "--log-dir" or word.startswith("--log-dir=") for word in words):
        words += ["--log-dir", str(logs)]
    program = shutil.which("torc-server") or f"{Path(sys.executable).parent}/torc-server"
    text = TEMPLATE.format(
        command=" ".join(_quoted(word) for word in (program, "run", *words)),
        wanted="default.target" if user else "multi-user.target",
        more="" if user else "StateDirectory=torc\nLogsDirectory=torc\n",
    )
    path = _unit(session, user)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.chmod(0o644)
    part.replace(path)
    _systemctl(user, "daemon-reload")
    _systemctl(user, "enable", "--now", UNIT)
    return f"installed '{path}' and started it; see 'torc-server service status{' --user' if user else ''}'"


# What `torc-server run` has is not taken for an option of this command, such as --log-level.
install.passes_on = _names_of_run()  # type: ignore[attr-defined]  # functions take attributes of one's own


@app.command
def uninstall(*, user: User = False, session: Given) -> str:
    """Stop the server and remove its unit; the database stays.

    Parameters
    ----------
    user
        That of this account.
    """
    _require(session, user)
    path = _known(session, user)
    _systemctl(user, "disable", "--now", UNIT)
    path.unlink()
    _systemctl(user, "daemon-reload")
    return f"removed '{path}'; the database stays"


def _verb(name: str, text: str) -> None:
    def command(*, user: User = False, session: Given) -> str:
        _require(session, user)
        _known(session, user)
        _systemctl(user, name, UNIT)
        return f"{name}: done"

    command.__doc__ = f"{text}\n\nParameters\n----------\nuser\n    That of this account.\n"
    app.command(command, name=name)


for _name, _text in (
    ("start", "Start the server."),
    ("stop", "Stop the server."),
    ("restart", "Stop the server and start it again."),
):
    _verb(_name, _text)


@app.command
def status(*, user: User = False, session: Given) -> str:
    """Show what systemd knows of the server.

    Parameters
    ----------
    user
        That of this account.
    """
    _require(session, user)
    return _told(user, "status", "--no-pager", UNIT)


@app.command
def logs(*, user: User = False, lines: int = 100, session: Given) -> str:
    """Show the last lines of the log.

    Parameters
    ----------
    user
        That of this account.
    lines
        How many.
    """
    _, folder = _places(session, user)
    file = folder / "torc-server.log"
    if not file.exists():
        raise NotFound(f"there is no log '{file}'; was the service installed with another --log-dir?")
    return "\n".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _places(session: Session, user: bool) -> tuple[Path, Path]:
    """The database and the folder of the logs."""
    if not user:
        return Path("/var/lib/torc/torc.db"), Path("/var/log/torc")
    from torc_core.config.choice import default_database

    environ = session.config.environ
    older = Path(environ.get("HOME", "~")).expanduser() / ".torc"
    if older.is_dir():
        return older / "torc.db", older / "log"
    state = Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return default_database(environ), state / "torc/log"


def _unit(session: Session, user: bool) -> Path:
    if not user:
        return Path("/etc/systemd/system") / UNIT
    config = session.config.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "systemd/user" / UNIT


def _known(session: Session, user: bool) -> Path:
    path = _unit(session, user)
    if not path.exists():
        raise NotFound(
            f"there is no '{path}'; write it with 'torc-server service install{' --user' if user else ''}'"
        )
    return path


def _require(session: Session, user: bool) -> None:
    """Refuse where there is no systemd, or no right to it."""
    if shutil.which("systemctl") is None or not RUNNING.is_dir():
        raise Conflict(
            "this host has no systemd; start the server with 'torc-server run --daemon', or in tmux:"
            " 'tmux new -s torc torc-server run'"
        )
    if not user and os.geteuid() != 0:
        raise UsageError("a service for the whole host needs root; add --user for one of your own")


def _systemctl(user: bool, *words: str) -> None:
    _told(user, *words)


def _told(user: bool, *words: str) -> str:
    argv: Sequence[str] = ["systemctl", *(["--user"] if user else []), *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode and words[0] != "status":
        raise Unavailable(f"'{' '.join(argv)}' failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.rstrip()


def _quoted(word: str) -> str:
    """A word for `ExecStart` (systemd.service(5), COMMAND LINES)."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if any(sign.isspace() or sign in "\"'" for sign in word) else text
