"""The clusters that torc knows by itself."""

from __future__ import annotations

from torc_slurm.profiles.model import Partition, Profile, Sign

HOUR = 3_600
DAY = 24 * HOUR


def _cpu(name: str, walltime: int, nodes: int, **more: object) -> Partition:
    """A partition of Kestrel's CPU nodes."""
    fields: dict[str, object] = {"memory_mb": 240_000, **more}
    return Partition(
        name=name,
        cpus_per_node=104,
        max_walltime_secs=walltime,
        max_nodes=nodes,
        **fields,  # type: ignore[arg-type]  # fields of this record, by the table below
    )


def _h100(name: str, walltime: int, nodes: int) -> Partition:
    """A partition of Kestrel's GPU nodes."""
    return Partition(
        name=name, cpus_per_node=128, memory_mb=360_000, max_walltime_secs=walltime, max_nodes=nodes, gpus_per_node=4,
        gpu_type="h100", gpu_memory_gb=80, local_disk_gb=3_400, shared=True,
    )  # fmt: skip


def _dane(name: str, walltime: int, *features: str, **more: object) -> Partition:
    """A partition of Dane."""
    return Partition(
        name=name,
        cpus_per_node=112,
        memory_mb=257_054,
        max_walltime_secs=walltime,
        features=features,
        **more,  # type: ignore[arg-type]  # as above
    )


KESTREL = Profile(
    name="kestrel",
    display_name="NREL Kestrel",
    description="The cluster Kestrel of the National Renewable Energy Laboratory.",
    signs=(Sign(env=("NREL_CLUSTER", "kestrel")),),
    charge_factor_cpu=10,
    charge_factor_gpu=100,
    internal_hostname="{short}.hsn.cm.kestrel.hpc.nrel.gov",
    auto_route=True,
    source="built-in",
    partitions=(
        _cpu(
            "debug", HOUR, 2, max_nodes_per_user=2, gpus_per_node=2, gpu_type="h100", gpu_memory_gb=80, shared=True,
            requires_explicit_request=True, features=("debug",),
        ),
        _cpu("short", 4 * HOUR, 2_240),
        _cpu("standard", 2 * DAY, 2_240, max_nodes_per_user=1_050),
        _cpu("long", 10 * DAY, 430, max_nodes_per_user=215),
        _cpu("medmem", 10 * DAY, 64, max_nodes_per_user=32, memory_mb=1_000_000, features=("highmem",)),
        _cpu(
            "bigmem", 2 * DAY, 10, max_nodes_per_user=4, memory_mb=2_000_000, local_disk_gb=5_600,
            features=("bigmem", "nvme"),
        ),
        _cpu(
            "bigmeml", 10 * DAY, 4, max_nodes_per_user=2, memory_mb=2_000_000, local_disk_gb=5_600,
            features=("bigmem", "nvme"),
        ),
        _cpu(
            "hbw", 2 * DAY, 512, max_nodes_per_user=256, min_nodes=2, requires_explicit_request=True,
            features=("dual-nic",),
        ),
        _cpu(
            "hbwl", 10 * DAY, 128, max_nodes_per_user=64, min_nodes=2, requires_explicit_request=True,
            features=("dual-nic",),
        ),
        _cpu(
            "nvme", 2 * DAY, 256, max_nodes_per_user=128, local_disk_gb=1_700, requires_explicit_request=True,
            features=("nvme",),
        ),
        _cpu("shared", 2 * DAY, 128, max_nodes_per_user=64, shared=True, requires_explicit_request=True),
        _cpu("sharedl", 10 * DAY, 32, max_nodes_per_user=16, shared=True, requires_explicit_request=True),
        _h100("gpu-h100s", 4 * HOUR, 156),
        _h100("gpu-h100", 2 * DAY, 156),
        _h100("gpu-h100l", 10 * DAY, 39),
    ),
)  # fmt: skip
"""NREL, now NLR; the figures are those of `slurm.md` §12."""

DANE = Profile(
    name="dane",
    display_name="LLNL Dane",
    description="The cluster Dane of the Lawrence Livermore National Laboratory.",
    signs=(Sign(env=("CLUSTER", "dane")),),
    charge_factor_cpu=1,
    charge_factor_gpu=1,
    source="built-in",
    partitions=(
        _dane("pdebug", HOUR, "debug", requires_explicit_request=True),
        _dane("pbatch", DAY, is_default=True),
        _dane("pci", DAY, "ci", requires_explicit_request=True),
        _dane("pserial", 7 * DAY, "serial", requires_explicit_request=True),
        _dane("pjupyter", DAY, shared=True, requires_explicit_request=True),
        _dane("pall", 365 * DAY, requires_explicit_request=True, description="Special access."),
    ),
)

BUILT_IN = (KESTREL, DANE)

OTHER_NAMES = {"NLR Kestrel": "kestrel", "NREL Kestrel": "kestrel", "LLNL Dane": "dane"}
"""Display names under which a profile can be asked for too."""
