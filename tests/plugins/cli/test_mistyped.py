"""Values of the wrong type are told as such, and never taken for others."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["jobs", "logs", "1.6"], "ID '1.6' is not a whole number (see 'torc jobs logs --help')"),
        (["jobs", "logs", "x"], "ID 'x' is not a whole number (see 'torc jobs logs --help')"),
        (["jobs", "update", "1.6", "-n", "x"], "ID '1.6' is not a whole number (see 'torc jobs update --help')"),
        (["jobs", "list", "1", "-l", "2.5"], "-l '2.5' is not a whole number (see 'torc jobs list --help')"),
        (["reports", "results", "1", "-j", "0x1"], "-j '0x1' is not a whole number (see 'torc reports results --help')"),
        (["run", "1", "--num-cpus", "1.5"], "--num-cpus '1.5' is not a whole number (see 'torc run --help')"),
        (["run", "1", "--memory-gb", "nan"], "--memory-gb 'nan' is not a number (see 'torc run --help')"),
        (["events", "monitor", "1", "-d", "x"], "-d 'x' is not a number (see 'torc events monitor --help')"),
        (
            ["jobs", "logs", "1", "--stream", "stdot"],
            "--stream 'stdot' is none of stdout, stderr, both; did you mean 'stdout'? (see 'torc jobs logs --help')",
        ),
        (
            ["completions", "tcl"],
            "SHELL 'tcl' is none of bash, zsh, fish, elvish, powershell (see 'torc completions --help')",
        ),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_one_sentence(torc, diamond, words, sentence):
    ran = torc(*words)

    assert (ran.code, ran.out, ran.err) == (2, "", f"error: {sentence}\n")


def test_numbers_are_taken_as_they_are(torc, diamond):
    listed = torc("results", "list", "1", "--return-code", "-3", "--limit", "2")
    got = torc("jobs", "get", "1", "--json")

    assert (listed.code, got.json["id"]) == (0, 1)
