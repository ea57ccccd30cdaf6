"""`torc user-data`: the JSON values that jobs read and write."""

from __future__ import annotations

import io

import pytest


def names(ran):
    return [item["name"] for item in ran.json["items"]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["params", "summary"]),
        (["--is-ephemeral", "true"], ["summary"]),
        (["--is-ephemeral", "false"], ["params"]),
        (["--consumer-job-id", "3"], ["params"]),
        (["--producer-job-id", "4"], ["summary"]),
        (["--name", "s*"], ["summary"]),
        (["-o", "1"], ["summary"]),
    ],
)
def test_a_list_is_filtered_and_cut(torc, diamond, options, expected):
    assert names(torc("user-data", "list", diamond, "--json", *options)) == expected


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null]}', "null", "-3", '"text"', "false"])
def test_any_json_comes_back_as_it_was(torc, text):
    import json

    torc("workflows", "new", "-n", "w")

    made = torc("user-data", "create", "last", "-n", "d", "-d", text, "--json").json

    assert made["data"] == json.loads(text)


def test_a_value_comes_from_a_file_or_from_standard_input(torc, home, monkeypatch):
    torc("workflows", "new", "-n", "w")
    (home / "d.json").write_text("[1]")
    monkeypatch.setattr("sys.stdin", io.StringIO("[2]"))

    assert torc("user-data", "create", "last", "-n", "d", "-d", "@d.json", "--json").json["data"] == [1]
    assert torc("user-data", "update", "1", "-d", "-", "--json").json["data"] == [2]


@pytest.mark.parametrize("text", ["{", "NaN", "1e999", "1" * 5000, "@nothing.json", "[" * 100_000])
def test_what_is_not_json_is_refused_with_the_place(torc, text):
    torc("workflows", "new", "-n", "w")

    ran = torc("user-data", "create", "last", "-n", "d", "-d", text)

    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert torc("user-data", "list", "last", "--json").json["count"] == 0


def test_standard_input_that_is_no_text_is_refused(torc, monkeypatch):
    torc("workflows", "new", "-n", "w")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'"\xff"'), encoding="utf-8"))

    ran = torc("user-data", "create", "last", "-n", "d", "-d", "-")

    assert (ran.code, "standard input is not valid UTF-8 at byte 1" in ran.err) == (2, True)


def test_a_new_value_can_be_given_to_jobs(torc):
    torc("workflows", "new", "-n", "w")
    torc("jobs", "create", "last", "-n", "a", "-c", "true")
    torc("jobs", "create", "last", "-n", "b", "-c", "true")

    for name in ("x", "y"):
        torc("user-data", "create", "last", "-n", name, "--producer-job-id", "1", "--consumer-job-id", "2")

    assert names(torc("user-data", "list", "last", "--producer-job-id", "1", "--json")) == ["x", "y"]
    assert names(torc("user-data", "list", "last", "--consumer-job-id", "2", "--json")) == ["x", "y"]


def test_a_value_that_cannot_be_linked_is_not_kept(torc, diamond):
    torc("workflows", "new", "-n", "w")
    ran = torc("user-data", "create", "last", "-n", "late", "--consumer-job-id", "1")

    assert ran.code == 2
    assert torc("user-data", "list", "last", "--json").json["count"] == 0
    assert torc("user-data", "list", diamond, "--json").json["count"] == 2


def test_names_of_torc_are_refused(torc):
    torc("workflows", "new", "-n", "w")

    assert torc("user-data", "create", "last", "-n", "__torc_x").code == 2


def test_update_changes_name_and_ephemeral(torc, diamond):
    changed = torc("user-data", "update", "1", "-n", "p", "--ephemeral", "true", "--json").json

    assert (changed["name"], changed["is_ephemeral"], changed["data"]) == ("p", True, {"n": 3})


def test_deleting_needs_a_yes(torc, diamond):
    assert torc("user-data", "delete", "1").code == 3
    assert torc("user-data", "delete-all", diamond).code == 3
    assert torc("user-data", "delete", "1", "-y").code == 0
    assert torc("user-data", "delete-all", diamond, "-y", "--json").json["count"] == 1


def test_values_that_nobody_makes_are_listed_as_missing(torc):
    torc("workflows", "new", "-n", "w")
    torc("jobs", "create", "last", "-n", "a", "-c", "true")
    torc("user-data", "create", "last", "-n", "x", "--consumer-job-id", "1")

    assert names(torc("user-data", "list-missing", "last", "--json")) == ["x"]
