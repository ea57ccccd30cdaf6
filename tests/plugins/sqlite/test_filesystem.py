"""Network file systems are recognised from the mount table."""

from __future__ import annotations

from pathlib import Path

import pytest

from torc_sqlite.filesystem import network_type, shared

MOUNTS = [
    "/dev/vda / ext4 rw 0 0",
    "server:/home /home nfs4 rw 0 0",
    "tmpfs /home/ann/tmp tmpfs rw 0 0",
    "10.0.0.1@tcp:/scratch /scratch lustre rw 0 0",
    "sshfs#host: /mnt/remote\\040disk fuse.sshfs rw 0 0",
    "gpfs0 /gpfs gpfs rw 0 0",
]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/torc.db", None),
        ("/home/ann/torc.db", "nfs4"),
        ("/home/ann/tmp/torc.db", None),
        ("/homely/torc.db", None),
        ("/scratch/a/b/torc.db", "lustre"),
        ("/mnt/remote disk/torc.db", "fuse.sshfs"),
        ("/gpfs", "gpfs"),
    ],
)
def test_the_longest_mount_point_decides(path: str, kind: str | None) -> None:
    assert shared(path, MOUNTS) == kind


def test_a_system_without_a_mount_table_has_only_local_files(tmp_path: Path) -> None:
    assert network_type(tmp_path / "torc.db", tmp_path / "missing") is None
