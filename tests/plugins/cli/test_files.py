"""`torc files`: the files that jobs read and write."""

from __future__ import annotations

import pytest


def names(ran):
    return [item["name"] for item in ran.json["items"]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["raw", "mid", "final"]),
        (["--produced-by-job-id", "1"], ["mid"]),
        (["--is-output"], ["mid", "final"]),
        (["--no-is-output"], ["raw"]),
        (["--name", "mid"], ["mid"]),
        (["--path", "raw.txt"], ["raw"]),
        (["--sort-by", "path", "-l", "1"], ["final"]),
    ],
)
def test_a_list_is_filtered_sorted_and_cut(torc, diamond, options, expected):
    assert names(torc("files", "list", diamond, "--json", *options)) == expected


def test_create_update_and_get_print_the_record(torc):
    torc("workflows", "new", "-n", "w")

    made = torc("files", "create", "last", "-n", "f", "-p", "a b/ä.txt", "--json").json
    changed = torc("files", "update", made["id"], "-p", "c.txt", "--json").json

    assert (made["name"], made["path"], made["st_mtime"]) == ("f", "a b/ä.txt", None)
    assert changed == torc("files", "get", made["id"], "--json").json
    assert (changed["name"], changed["path"]) == ("f", "c.txt")
    assert torc("files", "update", made["id"]).code == 2


def test_delete_needs_a_yes(torc, diamond):
    assert torc("files", "delete", "1-3").code == 3
    assert torc("files", "list", diamond, "--json").json["count"] == 3
    spare = torc("files", "create", diamond, "-n", "spare", "-p", "s", "--json").json["id"]
    assert torc("files", "delete", spare, "--yes", "--json").json["count"] == 1
    assert names(torc("files", "list", diamond, "--json")) == ["raw", "mid", "final"]


def test_a_file_of_a_workflow_in_which_jobs_run_is_kept(torc, diamond):
    refused = torc("files", "delete", "3", "--yes")

    assert (refused.code, "pending or running" in refused.err) == (3, True)
    assert torc("files", "list", diamond, "--json").json["count"] == 3


def test_nothing_is_deleted_when_one_of_the_ids_is_unknown(torc, diamond):
    assert torc("files", "delete", "1,99", "--yes").code == 5
    assert torc("files", "list", diamond, "--json").json["count"] == 3


def test_required_files_are_told_with_whether_they_exist(torc, diamond):
    items = torc("files", "list-required-existing", diamond, "--json").json["items"]

    assert [(item["name"], item["exists"]) for item in items] == [("raw", True), ("mid", False)]
