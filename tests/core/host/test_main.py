"""The program: options before and after the command word, one boundary for errors, a quick start."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from torc_core import __version__, hookimpl
from torc_core.errors import Conflict, NotFound, TorcError
from torc_core.host import Host
from torc_core.main import main, server

pytestmark = pytest.mark.usefixtures("folder")

COMMANDS = '''
import os, sys
from torc_core.errors import Conflict, NotFound
from torc_core.given import Given
from torc_core.session import Session

class Fact:
    exit_code = 1
    def __init__(self, text): self.text = text
    def render(self, session): print(f"{session.format}: {self.text}")

def show(id: int, *, limit: int = 10, session: Given):
    """Show one.

    Parameters
    ----------
    id
        Which one.
    limit
        How many.
    """
    return Fact(f"{id} {limit} quiet={session.quiet} user={session.user()} url={session.config.store_url}")

def export(*, format: str = "toml", session: Given) -> str:
    """Owns an option called as a global one."""
    return f"own={format} global={session.format}"

export.__annotations__["format"] = __import__("typing").Annotated[str, __import__("cyclopts").Parameter(name=("--format", "-f"))]

def words(*words: __import__("typing").Annotated[str, __import__("cyclopts").Parameter(allow_leading_hyphen=True)]) -> str:
    """Takes what it is given."""
    return " ".join(words)

def fail(how: str) -> None:
    """Fail somehow."""
    if how == "conflict": raise Conflict("the workflow 7 is archived", hint="unarchive it")
    if how == "missing": raise NotFound("no workflow 7")
    if how == "bug": raise ZeroDivisionError("oops")
    if how == "interrupt": raise KeyboardInterrupt
    if how == "pipe": raise BrokenPipeError
'''

PLUGIN = """
from torc_core import hookimpl
@hookimpl
def torc_commands(app):
    for name in ("show", "export", "words", "fail"):
        app.command(f"fact_commands:{name}", name=name, help=name)
"""


@pytest.fixture(autouse=True)
def facts(install: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a plugin of this test is loaded; its commands show what they were given."""
    install("torc-facts", "facts", "fact_plugin", PLUGIN)
    (tmp_path / "site/fact_commands.py").write_text(COMMANDS)
    monkeypatch.setenv("TORC_DISABLE_PLUGINS", "cli,formats,local,psutil,socket,sqlite")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_command_is_given_the_session_and_its_answer_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "show", "7")

    assert out == f"table: 7 10 quiet=False user=ada url=sqlite://{Path.home()}/.local/share/torc/torc.db\n"
    assert (code, err) == (1, "")


@pytest.mark.parametrize(
    "words",
    ["-f json -q show 7 --limit 3", "show 7 -f json --limit 3 -q", "show --format=json 7 --limit 3 --quiet"],
)
def test_global_options_stand_before_and_after_the_command(
    capsys: pytest.CaptureFixture[str], words: str
) -> None:
    _, out, _ = run(capsys, *words.split(), "--db", "/x.db", "--username", "bob")

    assert out == "json: 7 3 quiet=True user=bob url=sqlite:///x.db\n"


def test_an_option_that_the_command_owns_is_its_own_after_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(capsys, "export", "-f", "xml")[1] == "own=xml global=table\n"
    assert json.loads(run(capsys, "-f", "json", "export", "-f", "xml")[1])["message"] == "own=xml global=json"


@pytest.mark.parametrize("marker", [":::", "::::", ":::+"])
def test_after_a_marker_everything_belongs_to_the_command(
    capsys: pytest.CaptureFixture[str], marker: str
) -> None:
    assert run(capsys, "words", "a", marker, "-f", "json", "--url")[1] == f"a {marker} -f json --url\n"


def test_two_dashes_end_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "words", "--", "prog", "-f", "x", "--version")[1] == "prog -f x --version\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("shwo 7", 2, "error: unknown command 'shwo'; did you mean 'show'? (see 'torc --help')\n"),
        ("show 7 --limt 3", 2, "error: unknown option '--limt' of 'torc show'; did you mean '--limit'? (see 'torc show --help')\n"),
        ("show 7 --usrname x", 2, "error: unknown option '--usrname' of 'torc show'; did you mean '--username'? (see 'torc show --help')\n"),
        ("show", 2, "error: 'torc show' needs ID (see 'torc show --help')\n"),
        ("show 7 8", 2, "error: '8' is one argument too many for 'torc show' (see 'torc show --help')\n"),
        ("show x", 2, "error: ID 'x' is not a whole number (see 'torc show --help')\n"),
        ("-f jsn show 7", 2, "error: -f 'jsn' is none of table, json, csv; did you mean 'json'?\n"),
        ("--config", 2, "error: option '--config' needs a value: FILE (see 'torc --help')\n"),
        ("fail conflict", 3, "error: the workflow 7 is archived\nhint: unarchive it\n"),
        ("fail missing", 5, "error: no workflow 7\n"),
        ("fail interrupt", 130, ""),
    ],
)  # fmt: skip
def test_errors_are_one_sentence_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], words: str, code: int, said: str
) -> None:
    found, out, err = run(capsys, *words.split())

    assert (found, out) == (code, "")
    assert err == said
    assert "Traceback" not in err
    assert words == "fail conflict" or len(err.splitlines()) <= 1


def test_errors_are_an_object_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--json", "fail", "conflict")

    assert (code, out) == (3, "")
    assert json.loads(err) == {
        "schema": "torc.error/1",
        "status": "error",
        "code": "conflict",
        "message": "the workflow 7 is archived",
        "hint": "unarchive it",
        "exit_code": 3,
    }


@pytest.mark.parametrize("words", ["-f json shwo", "shwo --format=json", "--json shwo"])
def test_wrong_usage_is_an_object_in_json_too(capsys: pytest.CaptureFixture[str], words: str) -> None:
    assert json.loads(run(capsys, *words.split())[2])["code"] == "usage"


def test_two_formats_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(run(capsys, "--json", "-f", "csv", "show", "7")[2])

    assert said["message"] == "'--json' and '-f' exclude each other; give only one of them"


def test_the_configured_format_counts_for_errors(capsys: pytest.CaptureFixture[str]) -> None:
    Path("torc.toml").write_text("[client]\nformat = 'json'\n")

    assert json.loads(run(capsys, "fail", "missing")[2])["code"] == "not_found"


def test_a_bug_is_told_in_a_line_and_kept_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "fail", "bug")

    (line,) = err.splitlines()
    assert code == 70
    found = re.fullmatch(r"internal error \(please report\): ZeroDivisionError: oops, log: (.*)", line)
    assert found
    log = Path(found[1])
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.is_relative_to(Path.home() / ".local/state/torc/log")


def test_tracebacks_are_shown_with_log_level_debug(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Traceback" in run(capsys, "--log-level", "debug", "fail", "bug")[2]
    assert "Traceback" in run(capsys, "fail", "missing", "-v")[2]


def test_a_broken_configuration_is_told_before_anything_else(capsys: pytest.CaptureFixture[str]) -> None:
    Path("torc.toml").write_text("[client]\nfromat = 'json'\n")

    code, _, err = run(capsys, "show", "7")

    assert (code, err) == (
        2,
        f"error: {Path.cwd()}/torc.toml:2: unknown key 'client.fromat'; did you mean 'format'?\n",
    )


def test_warnings_of_the_configuration_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Path("torc.toml").write_text("[launchers.pbs]\naccount = 'x'\n")

    _, out, err = run(capsys, "show", "7")

    assert out.startswith("table: 7")
    assert err == f"warning: {Path.cwd()}/torc.toml:2: no plugin offers [launchers.pbs]\n"


def test_the_file_of_the_option_replaces_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.toml").write_text("[client]\nusername = 'zoe'\n")

    assert "user=zoe" in run(capsys, "show", "7", "--config", "mine.toml")[1]
    assert run(capsys, "--config=none.toml", "show", "7")[0] == 2


def test_help_names_the_global_options(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    _, inner, _ = run(capsys, "show", "--help")

    assert code == 0
    assert all(
        option in out for option in ("--url", "--db", "--store", "--format", "--quiet", "--config", "show")
    )
    assert "How many." in inner


def python(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "torc_core", *words],
        capture_output=True,
        text=True,
        env=os.environ | environ,
        check=False,
    )


def test_the_version_is_told_by_a_program_that_imported_nothing() -> None:
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "torc_core", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout == f"torc {__version__}\n"
    loaded = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert not loaded & {"cyclopts", "sqlalchemy", "yaml", "torc_cli", "torc_core.host", "logging"}


def test_the_long_version_names_api_python_and_sqlite() -> None:
    lines = python("--version", "-v").stdout.splitlines()

    assert [line.split()[0] for line in lines] == ["torc", "API", "Python", "SQLite"]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ([], ["server", "run"]),
        (["--port", "0"], ["server", "run", "--port", "0"]),
        (["status"], ["server", "status"]),
        (["-f", "json", "status"], ["server", "-f", "json", "status"]),
        (["--json", "token", "list"], ["server", "--json", "token", "list"]),
        (["--log-level=debug"], ["server", "run", "--log-level=debug"]),
        (["--port", "0", "--help"], ["server", "--port", "0", "--help"]),
        (["run", "--version"], ["run", "--version"]),
    ],
)  # fmt: skip
def test_torc_server_runs_unless_a_command_is_named(
    words: list[str], meant: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[list[str]] = []
    monkeypatch.setattr("sys.argv", ["torc-server", *words])
    monkeypatch.setattr("torc_core.main.main", lambda words: said.append(list(words)) or 0)

    server()

    assert said == [meant]


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            "bash",
            "-c",
            f"{sys.executable} -m torc_core words $(yes $(head -c 999 /dev/zero | tr '\\0' x) | head -300) | head -c 10 >/dev/null; echo ${{PIPESTATUS[0]}}",
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        check=True,
    )

    assert ran.stdout in ("141\n", "0\n")
    assert ran.stderr == ""


def test_a_reader_of_the_help_that_goes_away_is_no_failure_either() -> None:
    ran = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m torc_core --help | true; echo ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert ran.stdout in ("141\n", "0\n")
    assert ran.stderr == ""


def test_files_are_made_for_the_user_alone_and_jobs_keep_the_users_mask(tmp_path: Path) -> None:
    commands = tmp_path / "site/mask_commands.py"
    commands.write_text(
        "import os\nfrom torc_core.given import Given\n"
        "def mask(*, session: Given) -> str:\n"
        "    'Show masks.'\n"
        "    return f'{os.umask(0):o} {session.umask:o}'\n"
    )
    (tmp_path / "site/fact_plugin.py").write_text(
        "from torc_core import hookimpl\n@hookimpl\ndef torc_commands(app): app.command('mask_commands:mask', name='mask')\n"
    )

    ran = subprocess.run(
        ["bash", "-c", f"umask 022; exec {sys.executable} -m torc_core mask"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        check=True,
    )

    assert ran.stdout == "77 22\n"


def test_a_store_that_was_opened_is_closed_when_the_command_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torc_core.config import Config
    from torc_core.providers import StoreProvider
    from torc_core.session import Session
    from torc_core.system import SystemClock

    closed: list[bool] = []
    store: Any = SimpleNamespace(close=lambda: closed.append(True))
    plugin = SimpleNamespace(
        torc_stores=hookimpl(
            lambda: [StoreProvider(name="mine", summary="Mine.", open=lambda url, settings, clock: store)]
        )
    )
    config = Config().over({"flag.store": ("mine://", "--store")})
    session = Session(host=Host.of({"mine": plugin}, config), config=config, clock=SystemClock())

    opened = session.store()
    again = session.store()
    session.close()
    session.close()

    assert opened is again is store
    assert closed == [True]


def test_every_error_class_has_a_code_and_an_exit_code_of_the_reference() -> None:
    assert (Conflict("x").exit_code, NotFound("x").exit_code, TorcError("x").exit_code) == (3, 5, 1)


def test_a_broken_plugin_stops_every_command_but_the_one_that_lists_plugins(
    capsys: pytest.CaptureFixture[str], install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORC_DISABLE_PLUGINS", "facts")
    install("torc-slurmish", "slurmish", "slurmish_plugin", "import no_such_module_anywhere\n")

    code, _, err = run(capsys, "show", "7")
    listed, out, _ = run(capsys, "-f", "json", "plugins", "list")

    assert code == 2
    assert err == (
        "error: plugin 'slurmish' of torc-slurmish 1.2 could not be loaded: ModuleNotFoundError: No module named "
        "'no_such_module_anywhere'; disable it with TORC_DISABLE_PLUGINS=slurmish\n"
    )
    states = {item["name"]: item["state"] for item in json.loads(out)["items"]}
    assert (listed, states["slurmish"], states["facts"]) == (0, "failed", "disabled")
