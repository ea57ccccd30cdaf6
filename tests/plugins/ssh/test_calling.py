"""torc is found on a host whatever its shell prints, and what is in the way is told apart (`remote.md` RW10a, RW69)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from torc_core import __version__
from torc_ssh.agent.asked import PROTOCOL
from torc_ssh.commands.calling import FIND, Agent, HostTrouble, candidates, command
from torc_ssh.connection import Ran

AGENT = (
    "import sys, json; asked = json.loads(sys.stdin.readline()); print('hello from .bashrc');"
    "print('\\n' + asked['marker']); print(json.dumps({'protocol': %d, 'version': 'x', 'status': 'fine'} | %s))"
)


class Shell:
    """A host whose login shell is a shell of this machine."""

    def __init__(self, home: Path, shell: str = "sh", path: str = "/usr/bin:/bin") -> None:
        self.env = {"HOME": str(home), "PATH": path}
        self.shell = shell

    def run(self, command: str, stdin: bytes = b"", deadline: float | None = None) -> Ran:
        done = subprocess.run(
            [self.shell, "-c", command], input=stdin, env=self.env, capture_output=True, check=False
        )
        return Ran(status=done.returncode, stdout=done.stdout, stderr=done.stderr)


def agent(home: Path, **more: str) -> Agent:
    shell = Shell(home, **more)
    return Agent(shell, "w1", "~/mine/torc")  # type: ignore[arg-type]  # as much of a connection as it needs


def program(path: Path, code: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{code}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("place", ["mine/torc", ".local/bin/torc"])
def test_it_is_found_where_it_is_configured_or_in_the_home(tmp_path: Path, place: str) -> None:
    program(tmp_path / place, AGENT % (PROTOCOL, "{}"))
    assert agent(tmp_path).ask("check", {})["status"] == "fine"


def test_the_command_line_means_the_same_in_every_shell() -> None:
    assert not set("!\\\n") & set(FIND)
    assert command("--version", "a b'c").startswith("sh -c '")
    assert candidates("torc")[:2] == ["torc", "~/.local/bin/torc"]


def test_an_old_torc_a_missing_one_and_one_that_cannot_run_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torc_ssh.commands.calling.candidates", lambda configured: [str(tmp_path / "torc")])
    empty = tmp_path / "bin"
    empty.mkdir()
    (empty / "sh").symlink_to("/bin/sh")

    with pytest.raises(
        HostTrouble, match=rf"torc not found \(PATH={empty}\); set client.remote.torc_command or install it"
    ):
        agent(tmp_path, shell="/bin/sh", path=str(empty)).ask("check", {})
    program(
        tmp_path / "torc",
        "import sys; print('torc 0.6.5 (abc)') if sys.argv[1] == '--version' else sys.exit(2)",
    )
    with pytest.raises(
        HostTrouble, match=rf"torc on w1 is too old \(0\.6\.5\) for 'remote run'; install {__version__}"
    ):
        agent(tmp_path).ask("check", {})
    (tmp_path / "torc").write_text("#!/no/such/interpreter\n")
    with pytest.raises(HostTrouble, match=r"torc on w1 cannot be run: .*not found"):
        agent(tmp_path).ask("check", {})


def test_another_protocol_is_refused_whatever_the_versions(tmp_path: Path) -> None:
    program(tmp_path / "mine/torc", AGENT % (PROTOCOL, json.dumps({"protocol": PROTOCOL + 1})))
    with pytest.raises(HostTrouble, match="speaks another protocol"):
        agent(tmp_path).ask("check", {})


def test_an_answer_that_is_none_is_said_so(tmp_path: Path) -> None:
    program(
        tmp_path / "mine/torc",
        "import sys; print('torc " + __version__ + "'); print('oops', file=sys.stderr)",
    )
    with pytest.raises(HostTrouble, match=r"gave no answer.*oops"):
        agent(tmp_path).ask("check", {})
