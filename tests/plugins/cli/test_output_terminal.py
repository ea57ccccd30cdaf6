"""What only a terminal gets: box lines, colour, questions."""

from __future__ import annotations

import os
import subprocess
import sys

import pexpect
import pytest

from tests.waiting import PATIENCE


@pytest.fixture
def terminal(home):
    """Run `torc` on a terminal of 120 columns."""
    started = []
    # A runner of tests may have a width of its own, which would count more than that of the terminal.
    plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}

    def run(*words: str, **environ: str) -> pexpect.spawn:
        child = pexpect.spawn(
            sys.executable,
            ["-m", "torc_core", *words],
            cwd=str(home),
            env={**plain, "TERM": "xterm", **environ},
            dimensions=(40, 120),
            encoding="utf-8",
            timeout=PATIENCE,
        )
        started.append(child)
        return child

    yield run
    for child in started:
        child.close(force=True)


def ended(child: pexpect.spawn) -> tuple[str, int]:
    """All that it wrote, and its exit code."""
    child.expect(pexpect.EOF)
    child.close()
    return child.before, child.exitstatus


def test_a_terminal_gets_box_lines_and_a_bold_header(diamond, terminal):
    text, code = ended(terminal("jobs", "list", str(diamond)))

    assert code == 0
    assert "╭" in text
    assert "\x1b[1m" in text


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_is_left_out_where_it_is_not_wanted(diamond, terminal, environ):
    text, _ = ended(terminal("jobs", "list", str(diamond), **environ))

    assert "\x1b[" not in text


@pytest.mark.parametrize(
    ("words", "environ"),
    [(["--color", "never"], {}), (["--no-color"], {}), ([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"})],
)
def test_help_has_no_colour_where_it_is_not_wanted(terminal, words, environ):
    text, code = ended(terminal("jobs", "list", "--help", *words, **environ))

    assert code == 0
    assert "\x1b[" not in text


def test_help_is_coloured_in_a_pipe_when_that_is_asked_for(torc, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")

    plain, coloured = torc("jobs", "list", "--help"), torc("jobs", "list", "--help", "--color", "always")

    assert "\x1b[" not in plain.out
    assert "\x1b[" in coloured.out


def test_where_box_lines_would_break_words_there_are_none(diamond, terminal):
    wide, _ = ended(terminal("jobs", "list", str(diamond), COLUMNS="110"))
    narrow, _ = ended(terminal("jobs", "list", str(diamond), COLUMNS="84", NO_COLOR="1"))

    assert "╭" in wide
    assert "╭" not in narrow
    assert all(word in narrow for word in ("Priority", "Attempt", "running", "0:01:00", "canceled"))
    assert max(map(len, narrow.splitlines())) <= 84


def test_a_table_for_which_the_terminal_is_too_narrow_is_as_in_a_pipe(diamond, torc, terminal):
    piped = torc("jobs", "list", str(diamond)).out
    narrow, _ = ended(terminal("jobs", "list", str(diamond), COLUMNS="40"))

    assert narrow.splitlines() == piped.splitlines()


@pytest.mark.parametrize(
    "words", [["jobs", "list", "1"], ["jobs", "list", "1", "-f", "json"], ["config", "show"]], ids=" ".join
)
def test_a_full_disk_under_the_output_is_one_sentence(diamond, home, words):
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "torc_core", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert ran.returncode == 4
    assert "the output cannot be written: no space left on device" in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_are_no_error(diamond, home, closed):
    line = f"{sys.executable} -m torc_core jobs list 1 {closed}"

    assert subprocess.run(["bash", "-c", line], capture_output=True, check=False).returncode == 0


def test_no_cell_is_cut_off_on_a_terminal_either(diamond, terminal):
    text, _ = ended(terminal("files", "list", str(diamond)))

    assert "…" not in text
    assert "final.txt" in text


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 3, 4), ("", 3, 4), ("y", 0, 3)])
def test_what_destroys_is_asked_for_and_anything_but_yes_is_no(torc, diamond, terminal, answer, code, left):
    spare = torc("files", "create", diamond, "-n", "spare", "-p", "s", "--json").json["id"]
    child = terminal("files", "delete", str(spare))
    child.expect_exact("Delete 1 file? [y/N] ")

    others = torc("files", "list", diamond, "--json")
    child.sendline(answer)
    _, left_with = ended(child)

    assert others.code == 0
    assert left_with == code
    assert torc("files", "list", diamond, "--json").json["count"] == left


def test_a_broken_pipe_ends_quietly(diamond, home, terminal):
    text, _ = ended(
        pexpect.spawn(
            "bash",
            [
                "-c",
                f"{sys.executable} -m torc_core events list {diamond} --json | head -c 1; echo; echo ${{PIPESTATUS[0]}}",
            ],
            cwd=str(home),
            encoding="utf-8",
            timeout=PATIENCE,
        )
    )

    assert "Traceback" not in text
    assert "error" not in text
