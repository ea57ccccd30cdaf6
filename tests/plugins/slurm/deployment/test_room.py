"""The room for the database and the output: what a file system has left, and what a quota of the user leaves of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from torc_slurm.deployment import room
from torc_slurm.deployment.checks import Grade

QUOTA = """\
Disk quotas for user ana (uid 1000):
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
filer:/home  {used}  4000000  5000000       0  {files}  90000  100000       0
/dev/other  1  2  2  0  1  2  2  0
"""
LUSTRE = """\
/scratch
                {used}       0 1000000       -    {files}       0       0       -
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    """A table in which the temporary folder is somebody's home on a filer."""
    path = tmp_path / "mounts"
    path.write_text(f"/dev/sda1 / ext4 rw 0 0\nfiler:/home {tmp_path} nfs4 rw 0 0\n")
    return path


def told(text: str, *, program: str = "quota") -> room.Run:
    def run(words: Sequence[str]) -> str | None:
        return text if words[0] == program else None

    return run


@pytest.mark.parametrize(
    ("used", "files", "grade", "part"),
    [
        ("1000000", "5", Grade.OK, "has room"),
        ("3700000", "5", Grade.WARN, "nearly used up: 3.5g of 3.8g"),
        ("4100000*", "5", Grade.WARN, "nearly used up"),
        ("5000000*", "5", Grade.FAIL, "is used up"),
        ("1", "89000", Grade.WARN, "89000 files of 90000 files"),
        ("1", "100000*", Grade.FAIL, "is used up"),
    ],
)
def test_a_quota_is_told_before_it_stops_everything(
    tmp_path: Path, mounts: Path, used: str, files: str, grade: Grade, part: str
) -> None:
    found = room.room("db-room", tmp_path / "torc", told(QUOTA.format(used=used, files=files)), mounts)

    assert (found.grade, part in found.message) == (grade, True), found
    assert "quota:" in (found.evidence or "")


def test_lustre_has_a_command_of_its_own(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"10.0.0.1@o2ib:/lus {tmp_path} lustre rw 0 0\n")
    text = LUSTRE.replace("/scratch", str(tmp_path))

    full = room.room(
        "out-room", tmp_path, told(text.format(used="1000000*", files="7"), program="lfs"), mounts
    )
    well = room.room("out-room", tmp_path, told(text.format(used="1", files="7"), program="lfs"), mounts)

    assert (full.grade, well.grade) == (Grade.FAIL, Grade.OK)


@pytest.mark.parametrize(
    "text", ["", "quota: no such device", "filer:/home 1 2", "filer:/home a b c d e f g h"]
)
def test_what_cannot_be_read_is_no_limit(tmp_path: Path, mounts: Path, text: str) -> None:
    assert room.quotas_of(tmp_path, told(text), mounts) == []


@pytest.mark.parametrize(
    ("free", "files", "grade", "part"),
    [
        (0, 100_000, Grade.FAIL, "is full"),
        (100_000, 0, Grade.FAIL, "is full"),
        (1_000, 100_000, Grade.WARN, "only 3.9m left"),
        (10**9, 500, Grade.WARN, "only 500 more files"),
        (10**9, 10**9, Grade.OK, "has room"),
    ],
)
def test_a_file_system_that_is_full_or_nearly_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, files: int, grade: Grade, part: str
) -> None:
    seen = SimpleNamespace(f_bavail=free, f_frsize=4096, f_favail=files, f_files=10**9)
    monkeypatch.setattr(os, "statvfs", lambda path: seen)

    found = room.room("db-room", tmp_path, told(""))

    assert (found.grade, part in found.message) == (grade, True), found


def test_a_command_that_hangs_or_fails_is_not_waited_for(
    tmp_path: Path, mounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PATIENCE", 0.2)
    (tmp_path / "quota").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "quota").chmod(0o755)

    (found,) = room.checked({"db-room": tmp_path}, {"PATH": f"{tmp_path}:/usr/bin:/bin"}, mounts)

    assert "quota" not in (found.evidence or "")
