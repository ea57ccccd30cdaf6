"""`torc completions`: what a shell completes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """The script of each shell, as a program gets it."""
    home = tmp_path_factory.mktemp("home")
    environ = {"HOME": str(home), "PATH": os.environ["PATH"]}

    def script(shell):
        words = [sys.executable, "-m", "torc_core", "completions", shell, "--json"]
        return subprocess.run(
            words, env=environ, cwd=home, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    return {shell: script(shell) for shell in ("bash", "zsh", "fish", "elvish")}


@pytest.fixture
def complete(scripts, tmp_path):
    """Ask the bash script what may follow; the last word is the one that is being typed."""
    script = tmp_path / "torc.bash"
    script.write_text(scripts["bash"])

    def ask(*words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in ("torc", *words))
        asked = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _torc_with_workflows; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        program = f"source {script}; {asked}"
        ran = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, timeout=20)
        return ran.stdout.split()

    return ask


def test_bash_completes_the_ids_of_workflows_and_shows_their_names(complete, torc, home):
    for name in ("one", "two\nlines"):
        torc("workflows", "new", "-n", name)

    assert complete("status", "") == ["2", "two\\nlines", "1", "one"]
    assert complete("jobs", "list", "2") == ["2"]
    assert complete("-f", "json", "results", "list", "1") == ["1"]
    assert complete("files", "get", "") == []
    assert "1" not in complete("server", "run", "")
    assert "--limit" in complete("jobs", "list", "--l")


def test_a_list_of_workflows_refreshes_what_shells_complete(torc, home):
    remembered = home / ".cache" / "torc" / "workflows"
    for name in ("one", "two"):
        torc("workflows", "new", "-n", name)
    torc("delete", "1", "--yes")

    torc("workflows", "list")

    assert remembered.read_text() == "2\ttwo\n"
    assert remembered.stat().st_mode & 0o777 == 0o600


def test_options_without_a_value_have_no_opposite(scripts):
    assert all("--no-quiet" not in script and "--no-no-color" not in script for script in scripts.values())


def test_bash_completes_commands_options_and_values(complete):
    assert {"jobs", "job-dependencies"} <= set(complete("jo"))
    assert "list" in complete("jobs", "li")
    assert complete("reini") == []
    assert "--sort-by" in complete("jobs", "list", "--so")
    assert {"debug", "info", "warning", "error"} <= set(complete("events", "list", "3", "--severity", ""))
    assert "jobs" in complete("-f", "json", "jo")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "elvish"])
def test_every_script_is_valid_for_its_shell_also_when_json_is_the_format(scripts, tmp_path, shell):
    path = tmp_path / f"script.{shell}"
    path.write_text(scripts[shell])

    assert "job-dependencies" in scripts[shell]
    if shutil.which(shell):
        check = "-compileonly" if shell == "elvish" else "-n"
        subprocess.run([shell, check, str(path)], check=True, timeout=20)


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".local/share/bash-completion/completions/torc"),
        ("zsh", ".zsh/completions/_cyclopts_torc"),
        ("fish", ".config/fish/completions/torc.fish"),
        ("elvish", ".config/elvish/lib/torc.elv"),
    ],
)
def test_install_writes_where_the_shell_looks_and_touches_nothing_else(torc, home, scripts, shell, place):
    (home / ".bashrc").write_text("mine\n")

    done = torc("completions", shell, "--install", "--json").json

    assert done["path"] == str(home / place)
    assert (home / place).read_text() == scripts[shell]
    assert (home / ".bashrc").read_text() == "mine\n"


def test_an_unknown_shell_is_refused_with_the_list(torc):
    ran = torc("completions", "csh")

    assert ran.code == 2
    assert "fish" in ran.err
