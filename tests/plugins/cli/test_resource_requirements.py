"""`torc resource-requirements`: what jobs need."""

from __future__ import annotations

import pytest


def test_a_list_has_both_readings_of_memory_and_runtime(torc, diamond):
    default, big = torc("resource-requirements", "list", diamond, "--json").json["items"]

    assert (default["name"], big["name"]) == ("default", "big")
    assert (big["memory"], big["memory_bytes"], big["runtime"], big["runtime_seconds"]) == (
        "2g", 2 * 1024**3, "PT30M", 1800.0,
    )  # fmt: skip


def test_lists_sort_memory_by_size(torc, diamond):
    torc("resource-requirements", "create", diamond, "-n", "huge", "-m", "10g")

    items = torc("resource-requirements", "list", diamond, "--sort-by", "memory", "--json").json["items"]

    assert [item["name"] for item in items] == ["default", "big", "huge"]


def test_create_has_the_documented_defaults(torc):
    torc("workflows", "new", "-n", "w")

    made = torc("resource-requirements", "create", "last", "-n", "r", "--json").json

    assert [made[field] for field in ("num_cpus", "num_gpus", "num_nodes", "memory", "runtime")] == [
        1, 0, 1, "1m", "P0DT1M",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-n", "default"], "'default'"),
        (["-n", "r", "--num-cpus", "0"], "'0'"),
        (["-n", "r", "--num-gpus", "-1"], "'-1'"),
        (["-n", "r", "-m", "10 gigs"], '"10 gigs" is not a size'),
        (["-n", "r", "-r", "30m"], '"30m" is not an ISO 8601 duration'),
    ],
)
def test_create_refuses_with_the_sentence_of_specs(torc, options, said):
    torc("workflows", "new", "-n", "w")

    ran = torc("resource-requirements", "create", "last", *options)

    assert ran.code == 2
    assert said in ran.err
    assert torc("resource-requirements", "list", "last", "--json").json["count"] == 1


def test_update_keeps_bytes_and_seconds_in_step(torc, diamond):
    changed = torc("resource-requirements", "update", "2", "-m", "3g", "-r", "PT1H", "--json").json

    assert (changed["memory_bytes"], changed["runtime_seconds"]) == (3 * 1024**3, 3600.0)


def test_delete_needs_a_yes(torc, diamond):
    torc("resource-requirements", "create", diamond, "-n", "r")

    assert torc("resource-requirements", "delete", "3").code == 3
    assert torc("resource-requirements", "delete", "3", "-y").code == 0
    assert torc("resource-requirements", "get", "3").code == 5
