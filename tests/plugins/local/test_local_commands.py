"""A plain list of words starts without a shell, and nobody can tell the difference."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from torc_core.testing.executors import Tasks, run
from torc_local.command import direct, text_of, words_of
from torc_local.executor import Subprocesses

PATH = {b"PATH": os.fsencode(os.environ["PATH"])}

DIRECT = [
    "true",
    "false",
    "env",
    "  env  ",
    "ls -a /",
    "ls /nowhere",
    "cat /dev/null /dev/null",
    "seq 1 5",
    "expr 1 + 2",
    "sh -c true",
    "/usr/bin/env",
    "id -u",
    "basename a/b/c .x",
    "head -c 10 /dev/zero",
    "dirname\t/a/b",
    "ls -d ü",
    "env -u HOME --version",
    "./here one two",
    "readlink /proc/self/cwd",
]
SHELL = [
    "echo hello",
    "nothing-of-this-name",
    "cd /",
    "exit 7",
    "true --help",
    "false x",
    "printf %s x",
    "kill -9 0x",
    "ls *",
    "ls ~",
    "cat <<< x",
    "A=1 env",
    "env; env",
    "env | cat",
    "env && env",
    "env > /dev/null",
    "ls $HOME",
    "ls `pwd`",
    "echo 'a  b'",
    'echo "a  b"',
    "echo a\\ b",
    "ls # comment",
    "ls {a,b}",
    "ls [a]",
    "ls ?",
    "! true",
    "if true",
    "time true",
    "ls\ntrue",
    "./plain",
    "/",
    "ls %1",
    "",
    " \t ",
]


@pytest.fixture
def executor() -> Iterator[Subprocesses]:
    one = Subprocesses()
    yield one
    one.close()


@pytest.fixture
def tasks(tmp_path: Path) -> Tasks:
    for name, text in (
        ("here", '#!/bin/sh\necho "$0" "$@"; exit 3\n'),
        ("plain", "echo $0 $BASH_VERSION; exit 4\n"),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o700)
    return Tasks(tmp_path)


@pytest.mark.parametrize("command", DIRECT)
def test_a_plain_command_has_the_effect_that_it_has_in_bash(
    executor: Subprocesses, tasks: Tasks, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tasks.folder)
    assert direct(command, PATH, {}, {}) is not None
    ours = tasks.task(command)
    # A line break at the end changes nothing but that bash decides.
    bash = tasks.task(f"{command}\n")

    ends = run(executor, ours, bash)

    assert ends[0].return_code == ends[1].return_code
    assert outputs(ours.stdout, ours.stderr, ours.mark) == outputs(bash.stdout, bash.stderr, bash.mark)


@pytest.mark.parametrize("command", SHELL)
def test_bash_decides_what_is_not_plain(command: str, tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tasks.folder)

    found = direct(command, PATH, {}, {})

    assert found is None or command == "./plain"


@pytest.mark.parametrize("command", [*DIRECT, *SHELL])
def test_every_command_has_the_exit_code_of_bash(
    executor: Subprocesses, tasks: Tasks, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tasks.folder)

    first, second = run(executor, tasks.task(command), tasks.task(f"{command}\n"))

    assert first.return_code == second.return_code


@pytest.mark.parametrize("name", ["BASH_ENV", "SHELLOPTS", "BASHOPTS", "BASH_FUNC_env%%", "PWD", "SHLVL"])
def test_bash_decides_where_the_environment_speaks_to_it(name: str) -> None:
    assert direct("env", PATH, {os.fsencode(name): b"x"}, {}) is None


def test_a_program_is_looked_for_on_the_path_of_the_job(executor: Subprocesses, tasks: Tasks) -> None:
    own = tasks.folder / "bin"
    own.mkdir()
    (own / "ls").write_text("#!/bin/sh\necho mine\n")
    (own / "ls").chmod(0o700)
    task = tasks.task("ls", env={"PATH": f"{own}:{os.environ['PATH']}"})

    run(executor, task)

    assert Path(task.stdout or "").read_text() == "mine\n"


def test_a_relative_path_entry_is_for_bash() -> None:
    assert direct("ls", {b"PATH": b".:/usr/bin:/bin"}, {}, {}) is None


def test_a_script_without_line_break_is_a_wrapper() -> None:
    assert text_of("run it", "wrap -x") == "wrap -x run it"


def test_a_script_with_line_breaks_is_a_prologue() -> None:
    assert text_of("run it", "module load x\nexport A=1\n") == "module load x\nexport A=1\n\nrun it"


def test_words_are_split_at_blanks_and_tabs_only() -> None:
    assert words_of(" a\tb  c\vd ") == (b"a", b"b", b"c\vd")


def outputs(stdout: str | None, stderr: str | None, mark: str) -> tuple[list[str], list[str]]:
    """What was written, without what has to differ."""
    texts = [Path(path or "").read_text(errors="surrogateescape") for path in (stdout, stderr)]
    lines = [sorted(text.replace(mark, "MARK").replace("bash: line 1: ", "").splitlines()) for text in texts]
    return lines[0], lines[1]
