"""Built-in profiles are those of the reference (`slurm.md` §12, §13.1)."""

import pytest

from torc_slurm.profiles.builtin import DANE, KESTREL
from torc_slurm.profiles.detection import detected
from torc_slurm.profiles.model import Profile, Sign

HOUR, DAY = 3_600, 86_400
KESTREL_TABLE = {
    # CPUs, MB, walltime, nodes, nodes of a user, least nodes, GPUs, disk, shared, to be named
    "debug": (104, 240_000, HOUR, 2, 2, 1, 2, None, True, True),
    "short": (104, 240_000, 4 * HOUR, 2240, None, 1, 0, None, False, False),
    "standard": (104, 240_000, 2 * DAY, 2240, 1050, 1, 0, None, False, False),
    "long": (104, 240_000, 10 * DAY, 430, 215, 1, 0, None, False, False),
    "medmem": (104, 1_000_000, 10 * DAY, 64, 32, 1, 0, None, False, False),
    "bigmem": (104, 2_000_000, 2 * DAY, 10, 4, 1, 0, 5600, False, False),
    "bigmeml": (104, 2_000_000, 10 * DAY, 4, 2, 1, 0, 5600, False, False),
    "hbw": (104, 240_000, 2 * DAY, 512, 256, 2, 0, None, False, True),
    "hbwl": (104, 240_000, 10 * DAY, 128, 64, 2, 0, None, False, True),
    "nvme": (104, 240_000, 2 * DAY, 256, 128, 1, 0, 1700, False, True),
    "shared": (104, 240_000, 2 * DAY, 128, 64, 1, 0, None, True, True),
    "sharedl": (104, 240_000, 10 * DAY, 32, 16, 1, 0, None, True, True),
    "gpu-h100s": (128, 360_000, 4 * HOUR, 156, None, 1, 4, 3400, True, False),
    "gpu-h100": (128, 360_000, 2 * DAY, 156, None, 1, 4, 3400, True, False),
    "gpu-h100l": (128, 360_000, 10 * DAY, 39, None, 1, 4, 3400, True, False),
}


def test_kestrel_is_as_the_reference_has_it():
    assert {
        one.name: (
            one.cpus_per_node, one.memory_mb, one.max_walltime_secs, one.max_nodes, one.max_nodes_per_user,
            one.min_nodes, one.gpus_per_node, one.local_disk_gb, one.shared, one.requires_explicit_request,
        )
        for one in KESTREL.partitions
    } == KESTREL_TABLE  # fmt: skip


def test_dane_is_as_the_reference_has_it():
    assert {one.name: (one.max_walltime_secs, one.requires_explicit_request, one.shared) for one in DANE.partitions} == {
        "pdebug": (HOUR, True, False), "pbatch": (DAY, False, False), "pci": (DAY, True, False),
        "pserial": (7 * DAY, True, False), "pjupyter": (DAY, True, True), "pall": (365 * DAY, True, False),
    }  # fmt: skip
    assert {(one.cpus_per_node, one.memory_mb, one.gpus_per_node) for one in DANE.partitions} == {
        (112, 257_054, 0)
    }


@pytest.mark.parametrize("login", ["kl1", "kl2", "kl3"])
def test_the_inner_names_of_kestrel_are_made_by_its_template(login):
    assert KESTREL.internal_hostname is not None
    assert KESTREL.internal_hostname.format(short=login) == f"{login}.hsn.cm.kestrel.hpc.nrel.gov"


def test_a_cluster_is_known_by_a_variable_or_by_its_hosts():
    mine = Profile(name="mine", signs=[Sign(hostname=r".*\.mine\.org")])
    known = [mine, KESTREL, DANE]

    assert detected(known, {"CLUSTER": "dane"}, ["x"]) is DANE
    assert detected(known, {"CLUSTER": "dane"}, ["login1.mine.org"]) is mine
    assert detected(known, {"CLUSTER": "other"}, ["login1.mine.org.example"]) is None
    assert detected(known, {"CLUSTER": "dane"}, ["x"], "kestrel") is KESTREL
    assert detected(known, {"CLUSTER": "dane"}, ["x"], "slurm") is None
