"""A live cluster as a profile: what `sinfo` and `scontrol` say (`slurm.md` §12, hpc generate)."""

import tomllib

from torc_core.config import Config, Entry, Source
from torc_slurm.profiles import live
from torc_slurm.profiles.configured import profiles
from torc_slurm.profiles.toml_text import text_of

SINFO = """\
debug|4|2000|5:00|(null)|1|(null)
standard*|4+|2000+|1-00:00:00|(null)|2|small
standard*|8|6000|1-00:00:00|(null)|1|big
standard*|4|2000|1-00:00:00|gpu:a1:2(S:0-1)|1|gpu
gpu-a100|64|256000|infinite|(null)|10|(null)
gpu-h100|64|256000|2-00:00:00|gpu:h100:4,nvme:1|10|(null)
short-stdby|4|2000|4:00:00|(null)|2|(null)
"""
SCONTROL = """\
PartitionName=debug AllowGroups=ALL Default=NO MaxNodes=1 MaxTime=00:05:00 MinNodes=0 OverSubscribe=NO QoS=N/A State=UP
PartitionName=standard Default=YES MaxNodes=UNLIMITED MaxTime=1-00:00:00 MinNodes=0 OverSubscribe=FORCE:4 QoS=normal State=UP
PartitionName=gpu-a100 Default=NO MaxNodes=UNLIMITED MaxTime=UNLIMITED MinNodes=2 OverSubscribe=EXCLUSIVE QoS=N/A State=UP
PartitionName=gpu-h100 Default=NO MaxNodes=4 MaxTime=2-00:00:00 MinNodes=0 OverSubscribe=NO QoS=N/A State=UP
"""


def seen(**more):
    return {one.partition.name: one.partition for one in live.partitions(SINFO, SCONTROL, **more)}


def test_of_different_nodes_the_smallest_counts():
    standard = seen()["standard"]

    assert (standard.cpus_per_node, standard.memory_mb, standard.max_nodes) == (4, 2000, 4)
    assert (standard.gpus_per_node, standard.gpu_type, standard.gpus_on_some_nodes) == (2, "a1", True)
    assert (standard.shared, standard.is_default, standard.default_qos) == (True, True, "normal")


def test_gpus_are_counted_or_guessed_from_the_name():
    guessed, stated = seen()["gpu-a100"], seen()["gpu-h100"]

    assert (guessed.gpus_per_node, guessed.gpu_type, guessed.guessed) == (
        4,
        "a100",
        ["gpus_per_node", "gpu_type"],
    )
    assert (stated.gpus_per_node, stated.gpu_type, stated.guessed, stated.shared) == (4, "h100", [], False)


def test_limits_of_nodes_and_time():
    debug, endless = seen()["debug"], seen()["gpu-a100"]

    assert (debug.max_walltime_secs, debug.max_nodes) == (300, 1)
    assert (endless.max_walltime_secs, endless.min_nodes) == (365 * 86_400, 2)


def test_standby_partitions_can_be_left_out():
    assert ("short-stdby" in seen(), "short-stdby" in seen(skip_standby=True)) == (True, False)


def test_partitions_that_start_nothing_are_left_out():
    down = SCONTROL.replace("OverSubscribe=NO QoS=N/A State=UP", "OverSubscribe=NO QoS=N/A State=DOWN", 1)
    for_root = SCONTROL.replace("PartitionName=gpu-h100", "PartitionName=gpu-h100 RootOnly=YES")

    assert "debug" not in {one.partition.name for one in live.partitions(SINFO, down)}
    assert "gpu-h100" not in {one.partition.name for one in live.partitions(SINFO, for_root)}


def test_the_text_is_read_as_what_it_was_made_of():
    found = live.partitions(SINFO, SCONTROL)
    profile = live.profile(
        found, name="ours", display_name='Our "cluster"', domain="hpc.example.org", account="a"
    )

    text = text_of(profile, found)

    tree = tomllib.loads(text)["client"]["hpc"]["custom_profiles"]
    entry = Entry(key="client.hpc.custom_profiles", value=tree, source=Source())
    (read, *_) = profiles(Config({"user": {entry.key: entry}}))
    assert [one.name for one in read.partitions] == [one.name for one in profile.partitions]
    assert [one.node for one in read.partitions] == [one.node for one in profile.partitions]
    assert (read.display_name, read.default_account) == ('Our "cluster"', "a")
    assert read.signs == list(profile.signs)


def test_the_text_tells_guesses_and_different_nodes():
    found = live.partitions(SINFO, SCONTROL)

    text = text_of(live.profile(found, name="ours"), found)

    assert "gpus_per_node = 4  # guessed" in text
    assert "#   1 with 8 CPUs, 6000 MB" in text
    assert "#   1 with 4 CPUs, 2000 MB, 2 GPUs (a1)" in text
