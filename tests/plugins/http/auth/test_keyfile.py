"""The key file: found by address, refused when it is anybody else's business."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from torc_core.errors import Forbidden, Invalid, NotFound
from torc_http.auth import keyfile
from torc_http.auth.keyfile import ensured, found, normalised, read, rotated, servers

NOW = 1_700_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "config" / "servers"


def test_the_first_start_makes_a_key_that_nobody_else_can_read(folder: Path) -> None:
    before = os.umask(0)
    try:
        ensured(folder, "abc", ["http://kl3:8085"], "/run/torc/1.sock", NOW)
    finally:
        os.umask(before)

    assert stat.S_IMODE((folder / "abc.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_another_start_keeps_the_key_and_brings_the_addresses_up_to_date(folder: Path) -> None:
    first = ensured(folder, "abc", ["http://kl3:8085"], None, NOW)

    second = ensured(
        folder, "abc", ["http://KL3:9000/torc-service/v1", "http://127.0.0.1:9000"], None, NOW + 1
    )

    assert (second.key, second.key_id) == (first.key, first.key_id)
    assert second.urls == ("http://kl3:9000", "http://127.0.0.1:9000")
    assert read(folder / "abc.json") == second


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://KL3.hsn.cm:8085/torc-service/v1", "http://kl3.hsn.cm:8085"),
        ("http://kl3", "http://kl3:80"),
        ("https://kl3", "https://kl3:443"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("http://user:pw@kl3:1", "http://kl3:1"),
        ("ftp://kl3", ""),
        ("http://kl3:x", ""),
        ("kl3:8080", ""),
        ("", ""),
    ],
)
def test_addresses_are_compared_by_scheme_host_and_port(url: str, plain: str) -> None:
    assert normalised(url) == plain


def test_the_newest_of_several_keys_for_an_address_comes_first(folder: Path) -> None:
    for number, name in enumerate(("a", "b", "c")):
        ensured(folder, name, ["http://kl3:8085"], None, NOW + number)
    ensured(folder, "d", ["http://kl4:8085"], None, NOW)

    assert [one.server_id for one in found(folder, "http://kl3:8085/torc-service/v1")] == ["c", "b", "a"]


def test_where_there_is_no_folder_no_key_is_found(folder: Path) -> None:
    assert found(folder, "http://kl3:8085") == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o666, 0o601])
def test_a_key_that_is_open_to_others_is_refused_and_not_found(folder: Path, mode: int) -> None:
    ensured(folder, "abc", ["http://kl3:8085"], None, NOW)
    (folder / "abc.json").chmod(mode)

    with pytest.raises(Forbidden, match=r"is open to others .*run 'chmod 600"):
        read(folder / "abc.json")
    assert found(folder, "http://kl3:8085") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_key_of_somebody_else_is_refused(folder: Path) -> None:
    ensured(folder, "abc", ["http://kl3:8085"], None, NOW)
    os.chown(folder / "abc.json", 12345, 12345)

    with pytest.raises(Forbidden, match="belongs to uid 12345"):
        read(folder / "abc.json")


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    ensured(folder, "abc", ["http://kl3:8085"], None, NOW)
    link = tmp_path / "link.json"
    link.symlink_to(folder / "abc.json")

    with pytest.raises(Forbidden):
        read(link)


def test_a_link_planted_where_the_key_goes_is_replaced(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("untouched")
    folder.mkdir(parents=True, mode=0o700)
    (folder / "abc.json").symlink_to(target)

    with pytest.raises(Forbidden):
        ensured(folder, "abc", ["http://kl3:8085"], None, NOW)

    assert target.read_text() == "untouched"


def test_a_folder_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.parent.mkdir(parents=True)
    folder.symlink_to(elsewhere)

    with pytest.raises(Forbidden):
        ensured(folder, "abc", ["http://kl3:8085"], None, NOW)


def test_a_folder_that_is_open_is_closed(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o755)

    ensured(folder, "abc", ["http://kl3:8085"], None, NOW)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"server_id": "abc", "key": "x"}', "\0"])
def test_a_damaged_file_gets_a_sentence(folder: Path, text: str) -> None:
    ensured(folder, "abc", [], None, NOW)
    (folder / "abc.json").write_text(text)

    with pytest.raises(Invalid, match="is damaged; remove it"):
        read(folder / "abc.json")


def test_a_file_that_is_not_there_gets_a_sentence(folder: Path) -> None:
    with pytest.raises(NotFound, match="there is no key file"):
        read(folder / "abc.json")


def test_rotation_keeps_the_old_key_for_a_day_or_not_at_all(folder: Path) -> None:
    old = ensured(folder, "abc", ["http://kl3:8085"], None, NOW)

    kept = rotated(folder, "abc", NOW)
    gone = rotated(folder, "abc", NOW, at_once=True)

    assert kept.key != old.key
    assert [one.key for one in kept.retired] == [old.key]
    assert gone.retired == ()
    assert gone.urls == old.urls


@pytest.mark.parametrize(
    "text", ["", "r", "r.1", "r.1.2", "r.1.2.", "r.x.2.k", "r.1.-2.k", "q.1.2.k", "r.1.2.k.l"]
)
def test_what_is_no_name_of_a_runner_key_is_none(text: str) -> None:
    assert keyfile.split_runner_id(text) is None


def test_keys_lie_in_the_folder_of_configurations(tmp_path: Path) -> None:
    assert servers({"HOME": "/home/alice"}) == Path("/home/alice/.config/torc/servers")
    assert servers({"XDG_CONFIG_HOME": "/c", "HOME": "/home/alice"}) == Path("/c/torc/servers")
