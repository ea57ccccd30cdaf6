"""`torc completions`: what a shell completes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

PLACES = {
    "bash": ".local/share/bash-completion/completions/torc",
    "zsh": ".zsh/completions/_cyclopts_torc",
    "fish": ".config/fish/completions/torc.fish",
    "elvish": ".config/elvish/lib/torc.elv",
}


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    """A home in which the scripts of all shells are installed, and what was said about each."""
    home = tmp_path_factory.mktemp("home")
    (home / ".bashrc").write_text("mine\n")
    return home, {
        shell: json.loads(completions(home, shell, "--install", "--json").stdout) for shell in PLACES
    }


def completions(home, *words):
    return subprocess.run(
        [sys.executable, "-m", "torc_core", "completions", *words], cwd=home, capture_output=True, text=True, check=True,
        env={"HOME": str(home), "PATH": os.environ["PATH"]}, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def scripts(account):
    """The script of each shell."""
    home, _ = account
    return {shell: (home / place).read_text() for shell, place in PLACES.items()}


@pytest.fixture
def complete(scripts, tmp_path):
    """Ask the bash script what may follow; the last word is the one that is being typed."""
    script = tmp_path / "torc.bash"
    script.write_text(scripts["bash"])

    def ask(*words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in ("torc", *words))
        asked = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _torc_with_workflows; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        program = f"source {script}; {asked}"
        ran = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, timeout=60)
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
    assert complete("-f", "") == ["table", "json", "csv"]
    assert complete("jobs", "list", "3", "--color", "a") == ["auto", "always"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "elvish"])
def test_every_script_is_valid_for_its_shell(scripts, tmp_path, shell):
    path = tmp_path / f"script.{shell}"
    path.write_text(scripts[shell])

    assert "job-dependencies" in scripts[shell]
    if shutil.which(shell):
        check = "-compileonly" if shell == "elvish" else "-n"
        subprocess.run([shell, check, str(path)], check=True, timeout=60)


@pytest.mark.parametrize(("shell", "place"), PLACES.items())
def test_install_writes_where_the_shell_looks_and_touches_nothing_else(account, shell, place):
    home, said = account

    assert said[shell]["path"] == str(home / place)
    assert (home / ".bashrc").read_text() == "mine\n"


def test_a_script_is_printed_as_it_is_installed_also_when_json_is_the_format(account, scripts):
    home, _ = account

    assert completions(home, "fish", "--json").stdout == scripts["fish"]


def test_an_unknown_shell_is_refused_with_the_list(torc):
    ran = torc("completions", "csh")

    assert ran.code == 2
    assert "fish" in ran.err
