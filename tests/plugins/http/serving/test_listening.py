"""Where a service listens."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from torc_core.errors import BadValue, Unavailable
from torc_http.serving.listening import listen


def test_loopback_of_both_kinds_has_one_port(tmp_path) -> None:
    with closing(listen(port=0, directory=str(tmp_path / "run"))) as listening:
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, listening.port)).close()

    assert listening.addresses == ("127.0.0.1", "::1")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_everywhere_is_both_kinds(host) -> None:
    with closing(listen(host, 0, unix=False)) as listening:
        assert listening.addresses == ("0.0.0.0", "::")


def test_a_name_of_this_host_adds_its_address_to_loopback() -> None:
    with closing(listen(socket.gethostname(), 0, unix=False)) as listening:
        assert set(listening.addresses) >= {"127.0.0.1", "::1"}


def test_a_port_that_is_taken_is_told_with_who_has_it() -> None:
    told = rf"port \d+ is taken by process {os.getpid()} \("
    with closing(listen(port=0, unix=False)) as first, pytest.raises(Unavailable, match=told):
        listen(port=first.port, unix=False)


def test_a_port_that_is_taken_on_one_address_only_is_not_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(Unavailable, match="is taken"):
        listen("0.0.0.0", other.getsockname()[1], unix=False)


@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "8.8.8.8", "2001:4860:4860::8888", "a..b", "x" * 300]
)
def test_what_is_no_address_of_this_host_is_refused_with_candidates(host) -> None:
    with pytest.raises(BadValue, match=r"host '.*' is .*; use .*'0\.0\.0\.0' for all"):
        listen(host, 0)


def test_candidates_are_few_and_known_to_other_hosts(monkeypatch) -> None:
    """A host of many networks named all of them in one line, those of a single link too."""
    given = ["127.0.0.1", "::1", "fe80::1%eth0", "fd00::2", *(f"10.0.0.{k}" for k in range(1, 10))]
    found = [
        SimpleNamespace(address=one, family=socket.AF_INET6 if ":" in one else socket.AF_INET)
        for one in given
    ]
    monkeypatch.setattr("psutil.net_if_addrs", lambda: {"eth0": found})

    with pytest.raises(BadValue) as refused:
        listen("no-such-host.invalid", 0)

    first = ", ".join(f"10.0.0.{k}" for k in range(1, 7))
    assert str(refused.value).split("; ")[1].startswith(f"use one of {first} (and 4 more), '0.0.0.0' for all")


def test_a_unix_socket_lies_in_a_private_folder(tmp_path) -> None:
    before = os.umask(0)
    try:
        listening = listen(directory=str(tmp_path / "run"))
    finally:
        os.umask(before)
    path = listening.path
    assert path
    modes = [one.stat().st_mode & 0o777 for one in (path, path.parent)]
    listening.close()

    assert modes == [0o600, 0o700]
    assert not path.exists()


def test_a_folder_that_others_can_enter_is_refused(tmp_path) -> None:
    tmp_path.chmod(0o755)

    with pytest.raises(Unavailable, match="open to others; run 'chmod 700"):
        listen(directory=str(tmp_path))


def test_a_link_in_place_of_the_folder_is_refused(tmp_path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "run").symlink_to(tmp_path / "real")

    with pytest.raises(Unavailable, match="is no folder"):
        listen(directory=str(tmp_path / "run"))


def test_without_a_folder_the_runtime_folder_of_the_user_is_used(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with closing(listen()) as listening:
        assert listening.path
        assert listening.path.parent == tmp_path / "torc"


def test_sockets_of_killed_processes_are_swept(tmp_path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    dead = folder / "1-dead.sock"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(dead))
    os.utime(dead, (0, 0))
    with closing(listen(directory=str(folder))) as listening:
        assert list(Path(folder).iterdir()) == [listening.path]
