"""Who is at the other end: every row of the table in `security.md` §3.3."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import string
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import ip_address

import pytest

from torc_http.serving import identity as module
from torc_http.serving.identity import Identity, is_real_root
from torc_http.serving.kernel import Found, Lists, Netlink, listed
from torc_http.serving.listening import local_addresses

STRANGER = 4242
ME = os.geteuid()
AS_ROOT = pytest.mark.skipif(ME != 0, reason="only root can run a process of another user")
RST = struct.pack("ii", 1, 0)


def is_up(kind: type) -> bool:
    try:
        with closing(kind()) as lookup:
            return module._finds_itself(lookup)
    except OSError:
        return False


@pytest.fixture(params=[Netlink, Lists], ids=["sock_diag", "procfs"])
def identity(request) -> Iterator[Identity]:
    if not is_up(request.param):
        pytest.skip("this way is closed here")
    one = Identity()
    one.close()
    one._lookup = request.param()
    yield one
    one.close()


def server_at(address: str, family: int = socket.AF_INET, *, dual: bool = False) -> socket.socket:
    return socket.create_server((address, 0), family=family, dualstack_ipv6=dual)


def own_address(version: int) -> str:
    for text in local_addresses():
        one = ip_address(text.partition("%")[0])
        if one.version == version and not one.is_loopback and not one.is_link_local:
            return str(one)
    pytest.skip("this host has no further address")


WAYS = {
    "v4": ("127.0.0.1", False, socket.AF_INET, "127.0.0.1"),
    "v6": ("::1", False, socket.AF_INET6, "::1"),
    "mapped client": ("127.0.0.1", False, socket.AF_INET6, "::ffff:127.0.0.1"),
    "dual server": ("::", True, socket.AF_INET, "127.0.0.1"),
    "dual server, mapped client": ("::", True, socket.AF_INET6, "::ffff:127.0.0.1"),
    "far loopback": ("0.0.0.0", False, socket.AF_INET, "127.0.0.5"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_same_user_is_known(identity, way) -> None:
    at, dual, family, to = way
    with (
        server_at(at, socket.AF_INET6 if ":" in at else socket.AF_INET, dual=dual) as server,
        socket.socket(family) as client,
    ):
        client.connect((to, server.getsockname()[1]))
        accepted, _ = server.accept()
        with accepted:
            peer = identity.of(accepted)

    assert (peer.uid, peer.other_uid, peer.why) == (ME, None, "")
    assert peer.address == to.removeprefix("::ffff:") or to == "127.0.0.5"


@pytest.mark.parametrize("version", [4, 6])
def test_the_same_user_is_known_by_the_address_of_this_host(identity, version) -> None:
    address = own_address(version)
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with server_at(address, family) as server, socket.create_connection(server.getsockname()[:2]) as client:
        accepted, _ = server.accept()
        with accepted:
            peer = identity.of(accepted)

    assert (peer.uid, peer.address) == (ME, address)
    assert client is not None


def test_one_own_address_that_calls_another_is_remote(identity) -> None:
    with server_at("127.0.0.1") as server, socket.socket() as client:
        client.bind((own_address(4), 0))
        try:
            client.connect(server.getsockname())
        except OSError:
            pytest.skip("this kernel does not route that")
        accepted, _ = server.accept()
        with accepted:
            peer = identity.of(accepted)

    assert (peer.uid, peer.why) == (None, "remote")


def test_the_same_user_is_known_on_a_unix_socket_even_when_gone(identity, tmp_path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
        accepted, _ = server.accept()
        with accepted:
            peer = identity.of(accepted)

    assert (peer.kind, peer.uid) == ("unix", ME)


class Stranger:
    """A process of another user, which does what it is told."""

    def __init__(self, uid: int = STRANGER) -> None:
        program = """
import os, socket, struct, sys
os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
RST = struct.pack("ii", 1, 0)
for line in sys.stdin:
    what, address, port, mine = line.split()
    s = socket.socket(socket.AF_UNIX if what == "unix" else socket.AF_INET)
    try:
        if what == "unix":
            s.connect(address)
        else:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", int(mine)))
            s.connect((address, int(port)))
            s.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        print("done", flush=True)
    except OSError as error:
        print("failed", error.errno, flush=True)
    keep = s
"""
        command = [sys.executable, "-I", "-c", program, str(uid)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Callable[..., str]:
        return self.told

    def told(self, what: str, address: str, port: int = 0, mine: int = 0) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{what} {address} {port} {mine}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@AS_ROOT
def test_another_user_is_nobody_but_may_be_named(identity) -> None:
    with server_at("127.0.0.1") as server, Stranger() as told:
        assert told("tcp", "127.0.0.1", server.getsockname()[1]) == "done"
        accepted, _ = server.accept()
        with accepted:
            peer = identity.of(accepted)

    assert (peer.uid, peer.other_uid, peer.why) == (None, STRANGER, "another user")


@AS_ROOT
def test_another_user_on_a_unix_socket_is_nobody(identity, tmp_path) -> None:
    path = f"/tmp/torc-test-{os.urandom(4).hex()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        os.chmod(path, 0o777)
        server.listen()
        with Stranger() as told:
            assert told("unix", path) == "done"
            accepted, _ = server.accept()
            with accepted:
                peer = identity.of(accepted)
    os.unlink(path)

    assert (peer.uid, peer.other_uid) == (None, STRANGER)


@AS_ROOT
def test_the_overflow_user_is_nobody_at_all(identity) -> None:
    with server_at("127.0.0.1") as server, Stranger(65534) as told:
        assert told("tcp", "127.0.0.1", server.getsockname()[1]) == "done"
        accepted, _ = server.accept()
        with accepted:
            peer = identity.of(accepted)

    assert (peer.uid, peer.other_uid, peer.why) == (None, None, "unknown")


def test_a_client_that_closed_before_is_nobody(identity) -> None:
    with server_at("127.0.0.1") as server:
        with socket.create_connection(server.getsockname()):
            pass
        accepted, _ = server.accept()
        with accepted:
            assert identity.of(accepted).uid is None


def test_a_client_that_half_closed_is_nobody_and_told_why(identity) -> None:
    with server_at("127.0.0.1") as server, socket.create_connection(server.getsockname()) as client:
        client.shutdown(socket.SHUT_WR)
        accepted, _ = server.accept()
        with accepted:
            peer = identity.of(accepted)

    assert (peer.uid, peer.why) == (None, "half-closed")


def test_a_client_that_reset_before_is_nobody(identity) -> None:
    with server_at("127.0.0.1") as server:
        client = socket.create_connection(server.getsockname())
        client.sendall(b"hello")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
        client.close()
        accepted, _ = server.accept()
        with accepted:
            assert identity.of(accepted).uid is None


@AS_ROOT
def test_who_takes_the_port_of_a_client_that_reset_gets_nothing(identity) -> None:
    with server_at("127.0.0.1") as server, Stranger() as told:
        port = server.getsockname()[1]
        mine = socket.create_connection(("127.0.0.1", port))
        own = mine.getsockname()[1]
        foreign = own
        mine.sendall(b"rm -rf")
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
        mine.close()
        assert any(told("tcp", "127.0.0.1", port, foreign) == "done" for _ in range(20))
        peers = []
        for _ in range(2):
            accepted, _ = server.accept()
            with accepted:
                peers.append(identity.of(accepted))

    assert [peer.uid for peer in peers] == [None, None]
    assert peers[0].other_uid is None


PORTS = range(40_000, 40_004)


def call_for_ever(port: int, say: bytes, *, reset: bool) -> None:
    """Connect from few ports, over and over."""
    while True:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            one.settimeout(0.2)
            try:
                one.bind(("127.0.0.1", random.choice(PORTS)))
                one.connect(("127.0.0.1", port))
                one.sendall(say)
                if not reset:
                    one.recv(1)
            except OSError:
                pass


def child(act: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(0)
    return pid


@AS_ROOT
@pytest.mark.skipif(not is_up(Netlink), reason="needs sock_diag")
def test_in_a_race_for_ports_no_stranger_is_ever_taken_for_us() -> None:
    """Strangers send commands and reset at once, so that ports of theirs are an owner's when we look."""
    wanted = int(os.environ.get("TORC_TEST_RACES", "500"))
    identity = Identity()
    taken = foreign = 0

    def stranger() -> None:
        os.setgid(STRANGER)
        os.setuid(STRANGER)
        call_for_ever(port, b"GET", reset=True)

    with server_at("127.0.0.1") as server:
        port = server.getsockname()[1]
        owner = lambda: call_for_ever(port, b"OWN", reset=False)  # noqa: E731
        children = [child(owner), child(owner), child(stranger)]
        until = time.monotonic() + 150 + wanted / 20
        try:
            while foreign < wanted and time.monotonic() < until:
                if not foreign % 50:
                    time.sleep(0.005)  # a queue builds up: who is in it has reset, and others own the ports
                accepted, _ = server.accept()
                with accepted:
                    peer = identity.of(accepted)
                    accepted.settimeout(0.05)
                    try:
                        said = accepted.recv(3)
                    except OSError:
                        said = b""
                if said == b"GET":
                    foreign += 1
                    taken += peer.uid is not None
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            identity.close()

    assert foreign >= wanted
    assert taken == 0


def test_a_genuine_caller_who_waits_is_always_known() -> None:
    identity = Identity()
    known = 0
    with server_at("127.0.0.1") as server:
        for _ in range(1000):
            with socket.create_connection(server.getsockname()):
                accepted, _ = server.accept()
                with accepted:
                    known += identity.of(accepted).uid == ME
    identity.close()

    assert known == 1000


ROW = (
    "   1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000"
    "  1000        0 777 1 0000000000000000 20 4 30 10 -1\n"
)


def test_reading_lists_is_rationed(tmp_path) -> None:
    (tmp_path / "tcp").write_text(ROW)
    lists = Lists(str(tmp_path))
    ends = (ip_address("127.0.0.1"), 50_000), (ip_address("127.0.0.1"), 8080)
    began = time.monotonic()

    found = sum(len(lists.find(*ends)) for _ in range(2000))

    assert 20 <= found <= 21 + 20 * (time.monotonic() - began)


def test_a_row_of_the_list_is_read() -> None:
    local, remote = (ip_address("127.0.0.1"), 50_000), (ip_address("127.0.0.1"), 8080)

    assert list(listed("  sl  local_address\n" + ROW, local, remote)) == [Found(uid=1000, inode=777, state=1)]
    assert list(listed(ROW, remote, local)) == []


def test_broken_lists_never_raise() -> None:
    chance = random.Random(3)
    local, remote = (ip_address("127.0.0.1"), 50_000), (ip_address("127.0.0.1"), 8080)
    signs = string.hexdigits + string.whitespace + ":-xZ\0\N{ARABIC-INDIC DIGIT ONE}"
    for _ in range(3000):
        broken = list(ROW * 2)
        for _ in range(chance.randint(1, 12)):
            at = chance.randrange(len(broken))
            if chance.random() < 0.5:
                broken[at] = chance.choice(signs)
            else:
                del broken[at : at + chance.randint(1, 40)]
            if not broken:
                break
        list(listed("".join(broken), local, remote))


def test_a_look_up_that_fails_means_nobody() -> None:
    class Broken:
        name = "broken"

        def find(self, *_: object) -> list[Found]:
            raise struct.error("nonsense")

        def close(self) -> None: ...

    identity = Identity()
    identity.close()
    identity._lookup = Broken()  # type: ignore[assignment]
    with server_at("127.0.0.1") as server, socket.create_connection(server.getsockname()):
        accepted, _ = server.accept()
        with accepted:
            assert identity.of(accepted).why == "unknown"


def test_what_is_in_force_is_told() -> None:
    identity = Identity()
    identity.close()

    assert identity.method in {"sock_diag", "procfs", "unix socket only"}
    assert is_real_root() in {True, False}


MARKS = ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via", "X-ProxyContextPath"]


@pytest.mark.parametrize("mark", MARKS)
def test_a_request_through_a_proxy_is_nobody(served, mark) -> None:
    plain = f"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{mark}: x\r\n\r\n"

    told = json.loads(served.raw(plain.encode()).partition(b"\r\n\r\n")[2])

    assert (told["peer"]["uid"], told["peer"]["why"]) == (None, "proxied")
    assert served.get("/x")[1]["peer"]["uid"] == ME
