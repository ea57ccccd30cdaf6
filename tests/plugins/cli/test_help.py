"""The help of every command says what each of its arguments and options is for."""

from __future__ import annotations

import pytest
from cyclopts import App

from torc_cli.completion_scripts import commands
from torc_core.config import Config
from torc_core.host import Host


@pytest.mark.parametrize("more", [["--no-color"], ["-q"], ["--db", "x.db"], ["-f", "json"]], ids=" ".join)
@pytest.mark.parametrize("words", [["jobs", "list"], ["jobs"], ["run"], []], ids=" ".join)
def test_global_options_may_stand_after_help(torc, words, more):
    ran = torc(*words, "--help", *more)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: {' '.join(['torc', *words])} ")


def test_every_argument_and_option_is_explained() -> None:
    app = App(name="torc")
    Host.load(Config.load(environ={})).manager.hook.torc_commands(app=app)

    silent = [
        f"torc {' '.join(words)} {argument.names[0]}"
        for words in commands(app)
        for argument in _at(app, words)
        if argument.show and not (argument.parameter.help or "").strip()
    ]

    assert silent == []


def _at(app: App, words: tuple[str, ...]):
    for word in words:
        app = app[word]
    return app.assemble_argument_collection(parse_docstring=True) if app.default_command is not None else ()


@pytest.mark.parametrize("words", [["completions"], ["results", "list"], []], ids=" ".join)
def test_global_options_are_told_once_and_fit_on_a_terminal_of_eighty_columns(torc, monkeypatch, words):
    monkeypatch.setenv("COLUMNS", "80")

    ran = torc(*words, "--help")

    assert ran.out.count("--tls-insecure") == 1
    told = ran.out.partition("Global options, before or after the command:\n")[2].splitlines()
    assert [line for line in told if not line.startswith("  ")] == []
    assert max(map(len, told)) <= 80
