"""Asks the kernel whose a TCP socket is: by netlink where it is allowed, else by reading `/proc`."""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from torc_core.record import record

Address = IPv4Address | IPv6Address
End = tuple[Address, int]

ESTABLISHED = 1
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
NLMSG_ERROR = 2
NETLINK_SOCK_DIAG = 4
ALL_STATES = 0xFFFFFFFF
NO_COOKIE = (0xFFFFFFFF, 0xFFFFFFFF)
HEAD = struct.Struct("=IHHII")
ENDS = struct.Struct("!HH16s16s")
ANSWER = struct.Struct("=BBBB48sIIIII")

PATIENCE = 0.05
"""Seconds that an answer of the kernel may take (K4)."""

READS_PER_SECOND = 20
"""Reading `/proc` takes milliseconds, more with many connections: nobody may make us do it all the time."""


@record(frozen=True, slots=True, kw_only=True)
class Found:
    """A socket of the kernel's list."""

    uid: int
    inode: int
    state: int


def plain(address: str) -> Address:
    """An address; an IPv4 one that is written as IPv6 is turned back."""
    one = ip_address(address.partition("%")[0])
    return one.ipv4_mapped or one if isinstance(one, IPv6Address) else one


class Netlink:
    """One look-up costs 16 µs, however many connections there are."""

    name = "sock_diag"

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._socket.settimeout(PATIENCE)
        self._sequence = 0

    def find(self, local: End, remote: End) -> list[Found]:
        """The sockets with exactly these ends: one, or none."""
        if isinstance(local[0], IPv4Address):
            # NOTE: a client may reach an IPv4 listener through an IPv6 socket, and the other way round (K2).
            found = self._ask(socket.AF_INET, local, remote) or self._ask(socket.AF_INET6, local, remote)
        else:
            found = self._ask(socket.AF_INET6, local, remote)
        return [found] if found else []

    def close(self) -> None:
        self._socket.close()

    def _ask(self, family: int, local: End, remote: End) -> Found | None:
        self._sequence = (self._sequence + 1) & 0x7FFFFFFF
        ends = ENDS.pack(local[1], remote[1], _packed(family, local[0]), _packed(family, remote[0]))
        body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, ALL_STATES) + ends
        body += struct.pack("=III", 0, *NO_COOKIE)
        head = HEAD.pack(HEAD.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, self._sequence, 0)
        self._socket.sendto(head + body, (0, 0))
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            answer = self._socket.recv(4096)
            size, kind, _, sequence, _ = HEAD.unpack_from(answer)
            if sequence != self._sequence:
                continue  # the late answer to an earlier question
            if kind != SOCK_DIAG_BY_FAMILY or size < HEAD.size + ANSWER.size:
                return None
            kin, state, _, _, told, _, _, _, uid, inode = ANSWER.unpack_from(answer, HEAD.size)
            if _told_ends(kin, told) != (local, remote):
                return None  # a listener, which the kernel names where no connection matches
            return Found(uid=uid, inode=inode, state=state)
        return None


def _packed(family: int, address: Address) -> bytes:
    if family == socket.AF_INET:
        return address.packed.ljust(16, b"\0")
    if isinstance(address, IPv4Address):
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed


def _told_ends(family: int, told: bytes) -> tuple[End, End]:
    near, far, *packed = ENDS.unpack_from(told)
    one, other = (_unpacked(family, each) for each in packed)
    return (one, near), (other, far)


def _unpacked(family: int, packed: bytes) -> Address:
    if family == socket.AF_INET:
        return IPv4Address(packed[:4])
    one = IPv6Address(packed)
    return one.ipv4_mapped or one


class Lists:
    """Reads the kernel's lists as files: slower, and therefore rationed."""

    name = "procfs"

    def __init__(self, folder: str = "/proc/self/net") -> None:
        self._folder = folder
        self._left = float(READS_PER_SECOND)
        self._since = time.monotonic()
        _text(self._folder, "tcp")

    def find(self, local: End, remote: End) -> list[Found]:
        """The sockets with exactly these ends; none when it was asked too often."""
        now = time.monotonic()
        self._left = min(READS_PER_SECOND, self._left + (now - self._since) * READS_PER_SECOND)
        self._since = now
        if self._left < 1:
            return []
        self._left -= 1
        texts = [_text(self._folder, "tcp")]
        if os.path.exists(os.path.join(self._folder, "tcp6")):
            texts.append(_text(self._folder, "tcp6"))
        return [found for text in texts for found in listed(text, local, remote)]

    def close(self) -> None:
        """Nothing is kept open."""


def _text(folder: str, name: str) -> str:
    with open(os.path.join(folder, name), encoding="ascii", errors="replace") as file:
        return file.read()


ROW = re.compile(
    r"\s*[0-9]+:\s+([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})\s+([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})"
    r"\s+([0-9A-F]{2})\s+\S+\s+\S+\s+\S+\s+([0-9]{1,10})\s+\S+\s+([0-9]{1,20})(?:\s|$)",
    re.ASCII,
)


def listed(text: str, local: End, remote: End) -> Iterator[Found]:
    """Rows of a list with exactly these ends. Lines that are no rows are passed over."""
    for line in text.splitlines():
        row = ROW.match(line)
        if row and _end(row[1], row[2]) == local and _end(row[3], row[4]) == remote:
            yield Found(uid=int(row[6]), inode=int(row[7]), state=int(row[5], 16))


def _end(address: str, port: str) -> End:
    """Addresses are written as 32-bit words in the order of the machine's bytes."""
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    one = IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed).ipv4_mapped or IPv6Address(packed)
    return one, int(port, 16)
