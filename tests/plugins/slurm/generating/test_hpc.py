"""`torc hpc`: what is known about clusters (`slurm.md` §12)."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from torc_core.testing.slurm import FakeSlurm
from torc_terminal import schemas


def checked(ran):
    """The JSON of an answer, which is as its schema says."""
    jsonschema.validate(ran.json, schemas.load(ran.json["schema"]))
    return ran.json


def test_built_in_profiles_are_listed_and_one_is_detected(torc, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = torc("hpc", "detect")
    monkeypatch.setenv("NREL_CLUSTER", "kestrel")

    items = checked(torc("-f", "json", "hpc", "list"))["items"]

    assert [(one["name"], one["partitions"], one["detected"]) for one in items] == [
        ("kestrel", 15, True), ("dane", 6, False),
    ]  # fmt: skip
    assert checked(torc("-f", "json", "hpc", "detect"))["name"] == "kestrel"
    assert (nowhere.code, nowhere.out) == (1, "no profile matches; 'torc hpc generate' can make one\n")


def test_a_profile_is_shown(torc) -> None:
    document = checked(torc("-f", "json", "hpc", "show", "NLR Kestrel"))
    debug = document["partitions"][0]

    assert document["internal_hostname"] == "{short}.hsn.cm.kestrel.hpc.nrel.gov"
    assert (document["charge_factor_cpu"], document["charge_factor_gpu"], document["auto_route"]) == (
        10,
        100,
        True,
    )
    assert (debug["cpus_per_node"], debug["memory_mb"], debug["gpus_per_node"]) == (104, 240_000, 2)
    assert "234.4g" in torc("hpc", "show", "kestrel").out


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("--gpu", ["debug", "gpu-h100s", "gpu-h100", "gpu-h100l"]),
        ("--shared", ["debug", "shared", "sharedl", "gpu-h100s", "gpu-h100", "gpu-h100l"]),
    ],
)
def test_partitions_are_filtered(torc, option: str, names: list[str]) -> None:
    items = checked(torc("-f", "json", "hpc", "partitions", "kestrel", option))["items"]

    assert [one["name"] for one in items] == names


def test_the_best_partition_is_marked_and_the_nearest_miss_told(torc) -> None:
    good = torc("hpc", "match", "kestrel", "--cpus", "104", "--memory", "300g", "--walltime", "2-00:00:00")
    bad = torc("hpc", "match", "--profile", "kestrel", "--gpus", "8", "--walltime", "30m")

    assert good.out.startswith("medmem: ")
    assert "\n*  medmem " in good.out
    assert bad.code == 1
    assert "not 'gpu-h100s': 8 GPUs are more than its 4" in bad.out
    assert (
        checked(torc("-f", "json", "hpc", "match", "dane", "--memory", "2048"))["memory_bytes"] == 2 * 1024**3
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("30m", 1800), ("3600s", 3600), ("4:00:00", 14400), ("2-00:00:00", 172800)],
)
def test_walltimes_are_read_in_every_form(torc, text: str, seconds: int) -> None:
    assert torc("-f", "json", "hpc", "match", "dane", "--walltime", text).json["walltime_seconds"] == seconds


def test_an_unknown_profile_is_named_with_those_there_are(torc) -> None:
    ran = torc("hpc", "show", "kestral")

    assert (ran.code, "did you mean 'kestrel'?" in ran.err) == (5, True)


def test_the_cluster_at_hand_becomes_configuration(torc, slurm: FakeSlurm, home: Path) -> None:
    document = checked(torc("-f", "json", "hpc", "generate", "--name", "ours"))
    installed = torc("hpc", "generate", "--name", "ours", "--install")

    assert [one["name"] for one in document["partitions"]] == ["standard", "short"]
    assert installed.code == 0, installed.err
    assert torc("config", "validate").code == 0
    assert checked(torc("-f", "json", "hpc", "show", "ours"))["partitions"] == document["partitions"]
    assert torc("hpc", "generate", "--name", "ours", "--install").code == 3


def test_without_slurm_there_is_nothing_to_describe(torc, home: Path) -> None:
    assert torc("hpc", "generate").code == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[client.hpc.custom_profiles.x]\nnaem = 1", "unknown key 'client.hpc.custom_profiles.x.naem'"),
        ("[client.hpc.custom_profiles.x]\ndisplay_name = 1", "must be a text in quotes"),
        ("[client.hpc.custom_profiles.x]\n", "must be at least one table"),
        ("[[client.hpc.custom_profiles.x.partitions]]\nname = 'a'", "'cpus_per_node' is missing"),
        ("[client.hpc.profile_overrides.kestral]\n", "did you mean 'kestrel'"),
        (
            "[client.hpc.profile_overrides.dane.partitions.pbatch]\nmemory_mb = 0",
            "a whole number of at least 1",
        ),
    ],
)
def test_wrong_profiles_are_told_with_key_and_file(torc, home: Path, text: str, said: str) -> None:
    config = home / ".config/torc/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(text)

    ran = torc("hpc", "list")

    assert ran.code == 2
    assert said in ran.err


def test_a_profile_of_ones_own_comes_first_and_others_can_be_changed(torc, home: Path) -> None:
    config = home / ".config/torc/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("""\
[client.hpc.custom_profiles.ours]
display_name = "Our cluster"
detect_hostname = ".*"
[[client.hpc.custom_profiles.ours.partitions]]
name = "all"
cpus_per_node = 8
memory_mb = 16000
max_walltime_secs = 3600
[client.hpc.profile_overrides.dane.partitions.pbatch]
max_walltime_secs = 7200
""")

    items = torc("-f", "json", "hpc", "list").json["items"]
    dane = torc("-f", "json", "hpc", "partitions", "dane").json["items"]

    assert (items[0]["name"], items[0]["detected"]) == ("ours", True)
    assert next(one for one in dane if one["name"] == "pbatch")["max_walltime_secs"] == 7200
