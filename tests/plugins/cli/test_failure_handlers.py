"""`torc failure-handlers`: which exit codes are tried again."""

from __future__ import annotations

import json

import pytest


def test_a_handler_has_its_rules_with_all_defaults(torc, diamond):
    made = torc(
        "failure-handlers", "create", diamond, "-n", "oom", "--rules", '[{"exit_codes": [137]}]', "--json"
    ).json

    assert json.loads(made["rules"]) == [
        {"exit_codes": [137], "match_all_exit_codes": False, "recovery_script": None, "max_retries": 3,
         "delay_seconds": 0, "backoff_multiplier": 2.0, "max_delay_seconds": 3600}
    ]  # fmt: skip
    names = [one["name"] for one in torc("failure-handlers", "list", diamond, "--json").json["items"]]
    assert names == ["again", "oom"]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("{", "--rules '{' is not JSON: expecting property name"),
        ("{}", "has to be a JSON list"),
        ("[]", "at least one rule"),
        ('[{"exit_codes": [0]}]', "rules[0].exit_codes[0]"),
        ('[{"exit_code": [1]}]', "did you mean 'exit_codes'"),
    ],
)
def test_rules_that_make_no_sense_are_refused(torc, diamond, rules, said):
    ran = torc("failure-handlers", "create", diamond, "-n", "x", "--rules", rules)

    assert ran.code == 2
    assert said in ran.err


def test_jobs_lose_a_handler_that_is_deleted(torc, diamond):
    assert torc("failure-handlers", "delete", "1", "-y").code == 0

    assert torc("jobs", "get", "3", "--json").json["failure_handler_id"] is None
