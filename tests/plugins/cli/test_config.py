"""`torc config`: six layers, each value with its source."""

from __future__ import annotations

import json
import os
import tomllib

import jsonschema
import pytest

from torc_terminal import schemas


@pytest.fixture
def user_file(home):
    path = home / ".config/torc/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("# mine\n[client.run]\noutput_dir = 'out'  # on scratch\n")
    return path


def test_show_prints_what_holds_as_toml(torc, user_file):
    ran = torc("config", "show")

    assert ran.code == 0
    assert tomllib.loads(ran.out)["client"]["run"]["output_dir"] == "out"


def test_show_of_a_key_is_what_lies_below_it(torc):
    ran = torc("config", "show", "client.tls")

    assert ran.out.splitlines()[0] == "[client.tls]"
    assert "poll_interval" not in ran.out


def test_show_sources_names_file_and_line_variable_and_option(torc, user_file, monkeypatch):
    monkeypatch.setenv("TORC_CLIENT__RUN__POLL_INTERVAL", "2.5")

    found = torc("config", "show", "--sources", "--json", "--color", "never").json

    assert found["client.run.output_dir"] == {
        "value": "out", "source": "user", "file": str(user_file), "line": 3,
    }  # fmt: skip
    assert found["client.run.poll_interval"]["name"] == "TORC_CLIENT__RUN__POLL_INTERVAL"
    assert found["client.color"] == {"value": "never", "source": "flag", "name": "--color"}
    assert found["client.run.num_cpus"] == {"value": None, "source": "default"}


def test_show_sources_tells_which_store_was_chosen_and_why(torc):
    ran = torc("config", "show", "--sources", "--db", "/tmp/x.db")

    assert "sqlite:///tmp/x.db" in ran.out.splitlines()[-1]
    assert "the command line" in ran.out.splitlines()[-1]


def test_the_format_after_the_command_word_is_the_commands_own(torc):
    ran = torc("config", "show", "client.tls", "-f", "json")

    assert ran.json["client.tls.insecure"]["value"] is False


def test_every_document_follows_its_schema(torc, user_file):
    for words in (["show"], ["show", "--sources"], ["get", "client.format"], ["paths"], ["validate"]):
        document = torc("--json", "config", *words).json
        jsonschema.validate(document, schemas.load(document["schema"]))


def test_show_as_csv_has_a_row_for_each_setting(torc):
    rows = torc("-f", "csv", "config", "show", "--sources", "client.run").rows

    assert [row["key"] for row in rows][:2] == ["client.run.poll_interval", "client.run.output_dir"]


def test_get_prints_the_bare_value(torc, user_file):
    assert torc("config", "get", "client.run.output_dir").out == "out\n"
    assert torc("config", "get", "client.run.poll_interval").out == "5.0\n"
    assert torc("config", "get", "client.run.num_cpus").out == "\n"


def test_a_misspelt_key_is_answered_with_the_nearest_one(torc):
    for words in (["get", "client.formt"], ["show", "client.formt"], ["set", "client.formt", "json"]):
        ran = torc("config", *words)

        assert ran.code == 2
        assert "did you mean 'client.format'?" in ran.err
        assert ran.out == ""


def test_set_and_unset_keep_comments_and_order(torc, user_file):
    before = user_file.read_text()

    assert torc("config", "set", "client.run.num_cpus", "3").code == 0
    assert torc("config", "get", "client.run.num_cpus").out == "3\n"
    assert "# on scratch" in user_file.read_text()
    assert torc("config", "unset", "client.run.num_cpus").code == 0
    assert user_file.read_text() == before


def test_set_refuses_a_value_of_another_type_and_changes_nothing(torc, user_file):
    before = user_file.read_text()

    ran = torc("config", "set", "client.run.num_cpus", "many")

    assert ran.code == 2
    assert "'many'" in ran.err
    assert user_file.read_text() == before


def test_set_local_writes_the_projects_file(torc, home):
    torc("config", "set", "client.format", "json", "--local")

    assert tomllib.loads((home / "torc.toml").read_text()) == {"client": {"format": "json"}}
    assert torc("config", "paths").json["count"] == 3


def test_unset_of_what_is_not_there_is_not_found(torc, user_file):
    assert torc("config", "unset", "client.format").code == 5


def test_init_writes_a_template_that_changes_nothing_and_is_not_replaced_unasked(torc, home):
    before = torc("config", "show").out
    path = home / ".config/torc/config.toml"

    assert torc("config", "init").code == 0
    assert torc("config", "show").out == before
    assert torc("config", "init").code == 3
    path.write_text("")
    assert torc("config", "init", "-f").code == 0
    assert "# output_dir" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


def test_validate_says_where_a_mistake_is(torc, home):
    (home / "bad.toml").write_text('[client]\nformat = "table"\nformt = "json"\n')

    ran = torc("config", "validate", "bad.toml")

    assert ran.code == 1
    assert "bad.toml:3" in ran.out
    assert "did you mean" in ran.out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("poll_interval = nan", "'client.run.poll_interval' must be a number, not nan"),
        ("memory_gb = -inf", "'client.run.memory_gb' must be a number, not -inf"),
        ("poll_interval = 1" + "0" * 400, "'client.run.poll_interval' must be a number"),
        ("poll_interval = 1" + "0" * 5000, "not TOML"),
        ("output_dir = " + "[" * 5000, "not TOML"),
    ],
)
def test_numbers_and_depths_that_nobody_can_mean_are_mistakes(torc, home, line, words):
    (home / "torc.toml").write_text(f"[client.run]\n{line}\n")

    ran = torc("config", "get", "client.run.poll_interval")

    assert (ran.code, words in ran.err, "torc.toml:" in ran.err) == (2, True, True)


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(torc, home):
    os.mkfifo(home / "torc.toml", 0o600)

    assert torc("config", "get", "client.run.output_dir").out == "torc_output\n"


def test_validate_of_a_missing_file_fails(torc):
    assert torc("config", "validate", "nothing.toml").code == 1


def test_two_places_exclude_each_other(torc):
    assert torc("config", "set", "client.format", "json", "--local", "--user").code == 2


def test_schema_is_a_json_schema_that_knows_the_plugins(torc):
    schema = json.loads(torc("config", "schema").out)

    jsonschema.Draft202012Validator.check_schema(schema)
    assert "sqlite" in schema["properties"]["stores"]["properties"]


def test_secrets_are_never_shown(torc, monkeypatch):
    monkeypatch.setenv("TORC_CLIENT__TOKEN_FILE", "/home/ana/.torc/token")

    ran = torc("config", "show", "--sources", "client")

    assert ran.code == 0
    assert "password" not in ran.out
