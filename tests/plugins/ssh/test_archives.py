"""Nothing that a host sends is believed before it is proven (`remote.md` RW31, `security.md` §13)."""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import io
import json
import random
import tarfile
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from torc_core.errors import Conflict, Unavailable
from torc_ssh.agent.packing import MANIFEST
from torc_ssh.commands.archives import Arriving, BadArchive, proven, unpacked

FILES = {"job_stdio/job_wf7_j1_r1_a1.o": b"one\n" * 1_000, "torc_worker_7_w1.log": b"worker\n"}


def entry(path: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {
        "path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "source_size": len(content),
        "mtime_ns": 5, "torn": False, **more,
    }  # fmt: skip


def packed(
    files: Mapping[str, bytes],
    entries: list[dict[str, Any]] | None = None,
    members: list[tarfile.TarInfo] | None = None,
    *,
    manifest: bool = True,
) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for member in members or ():
            archive.addfile(member)
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if manifest:
            told = [entry(path, content) for path, content in files.items()] if entries is None else entries
            text = json.dumps({"files": told}).encode()
            member = tarfile.TarInfo(MANIFEST)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return stream.getvalue()


def saved(folder: Path, raw: bytes) -> Path:
    path = folder / "a.tar.gz"
    path.write_bytes(raw)
    return path


def test_a_whole_archive_is_accepted_and_unpacked(tmp_path: Path) -> None:
    path = saved(tmp_path, packed(FILES))

    entries = proven(path)
    unpacked(path, tmp_path / "w1", entries)

    assert {one.path for one in entries} == set(FILES)
    for name, content in FILES.items():
        assert (tmp_path / "w1" / name).read_bytes() == content
        assert (tmp_path / "w1" / name).stat().st_mode & 0o777 == 0o600


def test_an_archive_that_was_cut_anywhere_is_refused(tmp_path: Path) -> None:
    raw = packed(FILES)
    lots = random.Random(7)
    for end in {0, 1, len(raw) - 1, len(raw) - 9, *(lots.randrange(len(raw)) for _ in range(40))}:
        with pytest.raises(BadArchive):
            proven(saved(tmp_path, raw[:end]))


def test_an_archive_with_a_byte_turned_is_refused(tmp_path: Path) -> None:
    raw = bytearray(packed(FILES))
    lots = random.Random(11)
    for _ in range(40):
        place = lots.randrange(10, len(raw))
        damaged = bytearray(raw)
        damaged[place] ^= 1 << lots.randrange(8)
        with pytest.raises(BadArchive):
            proven(saved(tmp_path, bytes(damaged)))


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    one = tarfile.TarInfo(name)
    one.type = kind
    one.linkname = target
    return one


@pytest.mark.parametrize(
    "hostile",
    [
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.LNKTYPE, "torc_worker_7_w1.log"),
        member("device", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
        member("folder", tarfile.DIRTYPE),
        member("/etc/cron.d/x", tarfile.REGTYPE),
        member("../x", tarfile.REGTYPE),
        member("a/../../x", tarfile.REGTYPE),
        member("a//x", tarfile.REGTYPE),
        member("./x", tarfile.REGTYPE),
        member("a/" * 3_000 + "x", tarfile.REGTYPE),
        member("x" * 300, tarfile.REGTYPE),
    ],
    ids=lambda one: f"{one.type.decode()}-{one.name[:16]}".replace("/", "_"),
)
def test_what_no_host_of_ours_sends_is_refused(tmp_path: Path, hostile: tarfile.TarInfo) -> None:
    listed = [entry(path, content) for path, content in FILES.items()] + [entry(hostile.name, b"")]
    with pytest.raises(BadArchive):
        proven(saved(tmp_path, packed(FILES, listed, [hostile])))


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [entry("torc_worker_7_w1.log", b"worker\n")],
        [entry(path, content) for path, content in (*FILES.items(), ("more", b""))],
        [entry(path, content, size=1) for path, content in FILES.items()],
        [entry(path, content, sha256="0" * 64) for path, content in FILES.items()],
        [{"path": "x"}],
    ],
)
def test_a_list_that_says_something_else_is_refused(tmp_path: Path, entries: list[dict[str, Any]]) -> None:
    with pytest.raises(BadArchive):
        proven(saved(tmp_path, packed(FILES, entries)))


def test_a_damaged_stream_is_refused_wherever_it_is_damaged(tmp_path: Path) -> None:
    lots = random.Random(3)
    raw = bytearray(packed({f"job_stdio/{number}": lots.randbytes(900) for number in range(20)}))
    for _ in range(300):
        damaged = bytearray(raw)
        for _ in range(3):
            damaged[lots.randrange(10, len(raw))] ^= 1 << lots.randrange(8)
        with pytest.raises(BadArchive):
            proven(saved(tmp_path, bytes(damaged)))


def told_of(kind: bytes, size: int, times: int) -> bytes:
    one = tarfile.TarInfo("told")
    one.type, one.size = kind, size
    header, padding = one.tobuf(tarfile.USTAR_FORMAT), bytes(-size % 512)
    return gzip.compress((header + b"x" * size + padding) * times, compresslevel=1)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_what_is_told_of_a_member_is_not_read_whole_however_long(tmp_path: Path, kind: bytes) -> None:
    path = saved(tmp_path, told_of(kind, 40 << 20, 1))
    tracemalloc.start()

    with pytest.raises(BadArchive, match="too long"):
        proven(path)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_members_that_only_tell_of_the_next_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadArchive):
        proven(saved(tmp_path, told_of(tarfile.GNUTYPE_LONGNAME, 10, 3_000)))


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"files": [{"path": "a", "size": 1e999, "sha256": "x"}]}']
)
def test_a_list_that_nobody_of_ours_writes_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(BadArchive, match="not understood"):
        proven(saved(tmp_path, packed({MANIFEST: text}, manifest=False)))


def test_without_a_list_or_with_more_after_it_an_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadArchive, match="list of its files is missing"):
        proven(saved(tmp_path, packed(FILES, manifest=False)))
    with pytest.raises(BadArchive):
        proven(saved(tmp_path, gzip.compress(b"not a tar")))


def test_a_link_that_lies_in_the_local_folder_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    target = tmp_path / "w1"
    target.mkdir()
    (target / "job_stdio").symlink_to(precious)
    path = saved(tmp_path, packed(FILES))

    with pytest.raises(BadArchive):
        unpacked(path, target, proven(path))

    assert list(precious.iterdir()) == []


def arrived(path: Path, raw: bytes) -> int:
    with Arriving(path) as arriving:
        size = arriving.write(iter([raw]))
        arriving.arrive()
    return size


def test_a_disk_that_takes_no_more_is_told_and_what_is_there_stays(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "a.tar.gz"
    arrived(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with (
            Arriving(path) as arriving,
            pytest.raises(Unavailable, match=r"cannot write '.*a\.tar\.gz\.part': "),
        ):
            arriving.write(iter([bytes(2_000)]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert path.read_bytes() == b"old"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no such file or directory"):
        Arriving(tmp_path / "no/folder")


def test_no_earlier_archive_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"

    for number in range(12):
        arrived(path, f"number {number}".encode())

    assert path.read_bytes() == b"number 11"
    assert [path.with_name(f"{path.name}.{number}").read_bytes() for number in range(1, 12)] == [
        f"number {number}".encode() for number in reversed(range(11))
    ]
    assert len(list(tmp_path.iterdir())) == 12


def test_what_a_broken_transfer_has_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.with_name(f"{path.name}.part").write_bytes(bytes(100))

    assert arrived(path, b"whole") == 5
    assert path.read_bytes() == b"whole"


def test_two_collections_never_write_one_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"

    with Arriving(path) as first:
        first.write(iter([b"first"]))
        with pytest.raises(Conflict, match="another collection is writing"):
            Arriving(path)
        first.arrive()
        # The file has another name now; who comes next begins one of his own.
        with Arriving(path) as second:
            second.write(iter([b"second"]))

    assert path.read_bytes() == b"first"


def test_a_file_system_without_locks_takes_archives_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)

    arrived(tmp_path / "a.tar.gz", b"whole")

    assert (tmp_path / "a.tar.gz").read_bytes() == b"whole"
