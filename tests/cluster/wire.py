"""A long wire: two network devices whose packets come out of the other after some time.

    wire.py DEVICE DEVICE SECONDS

Stands in for the kernel's own delays, which many kernels are built without.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import sys
import time
from collections import deque

MAKE = 0x400454CA
KIND = 0x0001 | 0x1000
"""Packets without a link layer, and without a header in front of them."""


def device(name: str) -> int:
    """Make a device; it goes when its descriptor is closed."""
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, MAKE, struct.pack("16sH22x", name.encode(), KIND))
    return file


def main(one: str, other: str, seconds: str) -> None:
    """Carry packets until a device is gone."""
    ends = (device(one), device(other))
    wire: deque[tuple[float, int, bytes]] = deque()
    while True:
        pause = max(0.0, wire[0][0] - time.monotonic()) if wire else None
        for end in select.select(ends, [], [], pause)[0]:
            try:
                packet = os.read(end, 1 << 16)
            except BlockingIOError:
                continue
            except OSError:
                return
            wire.append((time.monotonic() + float(seconds), ends[end == ends[0]], packet))
        while wire and wire[0][0] <= time.monotonic():
            _, end, packet = wire.popleft()
            try:
                os.write(end, packet)
            except OSError:
                # Nobody is at that end, or it is full: the packet is lost, as on a wire.
                continue


if __name__ == "__main__":
    main(*sys.argv[1:])
