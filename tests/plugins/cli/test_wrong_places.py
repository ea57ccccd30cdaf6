"""Paths that cannot be used are the user's mistake, or a fault of the place: one sentence, never an internal error."""

from __future__ import annotations

import pytest

LONG = "x" * 300
"""No file system takes such a name; looking for it is an error, and not the answer that there is nothing."""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--db", LONG, "ping"], 4),
        (["--db", LONG, "workflows", "new", "--name", "a"], 4),
        (["--config", LONG, "ping"], 2),
        (["config", "validate", LONG], 1),
        (["workflows", "export", "1", "-o", LONG], 2),
        (["ro-crate", "export", "1", "-o", LONG], 2),
        (["ro-crate", "add-dataset", "1", "-n", "x", "--path", LONG], 2),
        (["slurm", "parse-logs", "1", "-o", LONG], 5),
        (["slurm", "generate", "w.json", "--profile", "kestrel", "-a", "me", "-o", LONG], 2),
        (["server", "backup", LONG], 4),
        (["server", "backup", "b.db", "--database", LONG], 4),
        (["server", "export", "-o", LONG], 2),
        (["server", "token", "list", "--database", LONG], 4),
    ],
    ids=lambda one: " ".join(one).replace(LONG, "LONG") if isinstance(one, list) else None,
)
def test_a_path_that_cannot_be_used_is_one_sentence(torc, home, words, code):
    torc("workflows", "new", "--name", "one")
    (home / "w.json").write_text('{"name": "w", "jobs": [{"name": "a", "command": "true"}]}')

    ran = torc(*words)

    assert (ran.code, ran.out if ran.code != 1 else "") == (code, "")
    told = ran.err or ran.out
    assert LONG in told
    assert "internal error" not in told


@pytest.mark.parametrize(
    "words", [["status", "1"], ["exec", "-c", "true"], ["create", "/w.yaml"], ["config", "paths"]]
)
def test_a_working_directory_that_is_gone_is_named_as_such(torc, home, monkeypatch, words):
    (home / "gone").mkdir()
    monkeypatch.chdir(home / "gone")
    (home / "gone").rmdir()

    ran = torc(*words)

    assert (ran.code, ran.err) == (2, "error: the working directory is gone; change into one that is there\n")


def test_doctor_looks_at_a_database_that_cannot_be_reached(torc):
    ran = torc("--db", LONG, "doctor")

    assert "internal error" not in ran.err
    assert "db-fs" in ran.out


def test_a_folder_is_no_database_and_no_lock_is_left_beside_it(torc, home):
    (home / "data").mkdir()

    ran = torc("--db", "data", "workflows", "list")

    assert (ran.code, ran.out) == (4, "")
    assert ran.err == f"error: database '{home}/data' is a folder; name a file in it\n"
    assert not (home / "data.lock").exists()


@pytest.mark.parametrize("how", ["--config", "TORC_CONFIG"])
def test_a_configuration_that_is_not_there_is_told_with_what_helps(torc, monkeypatch, how):
    if how == "TORC_CONFIG":
        monkeypatch.setenv("TORC_CONFIG", "none.toml")

    ran = torc("ping") if how == "TORC_CONFIG" else torc("--config", "none.toml", "ping")

    helps = "unset TORC_CONFIG" if how == "TORC_CONFIG" else "leave --config out"
    assert ran.code == 2
    assert f"{how} names" in ran.err
    assert f"none.toml', which is no file; make it, or {helps}\n" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["config", "set", "--local", "client.format", "csv"],
        ["config", "init", "--local"],
    ],
    ids=" ".join,
)
def test_a_file_that_cannot_be_written_is_wrong_input(torc, home, words):
    (home / "torc.toml").symlink_to("none/torc.toml/x")
    (home / "none").write_text("")

    ran = torc(*words)

    assert (ran.code, ran.out) == (2, "")
    assert "cannot write '" in ran.err


def test_a_workflow_that_is_not_there_leaves_no_database_behind(torc, home):
    ran = torc("--db", "new.db", "run", "7")

    assert (ran.code, ran.err) == (5, "error: no workflow 7; list them with 'torc workflows list'\n")
    assert [file.name for file in home.iterdir() if file.name.startswith("new.db")] == []


def test_an_export_for_a_group_that_is_not_there_writes_nothing(torc, home):
    torc("access-groups", "create", "team")

    ran = torc("server", "export", "-o", "all.jsonl", "--access-group", "taem")

    assert (ran.code, ran.out) == (5, "")
    assert ran.err == (
        "error: no access group 'taem'; did you mean 'team'? (list them with 'torc access-groups list')\n"
    )
    assert not (home / "all.jsonl").exists()
