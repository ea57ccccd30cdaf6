"""Many runners come at once, and readers of events never read: nobody is served twice, nobody waits (F26, F27)."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from torc_core.model import (
    Ending,
    Event,
    Initialize,
    JobStatus,
    NewNode,
    Offer,
    Plan,
    PlannedJob,
    PlannedWorkflow,
    Resources,
    Turn,
)
from torc_core.system import SystemClock
from torc_core.testing.checker import Recording

if TYPE_CHECKING:
    from conftest import Site

RUNNERS = int(os.environ.get("TORC_TEST_HERD", "40"))
"""The promise is 1,000."""
STALLED = 4
"""As many as one user may have open; the promise, 50, is for all of a server."""
EVENTS = int(os.environ.get("TORC_TEST_STREAMED", "1000"))
"""The promise is 10,000."""
CLOCK = SystemClock()


@pytest.mark.timeout(0)
def test_a_herd_of_runners_is_served_and_nobody_twice(site: Site, row: Callable[..., None]) -> None:
    site.serve()
    owner = site.store()
    jobs = [PlannedJob(name=f"j{at}", command="true") for at in range(RUNNERS * 5)]
    workflow = owner.create(Plan(workflow=PlannedWorkflow(name="herd"), jobs=jobs), "ada").id
    owner.initialize(workflow, Initialize())
    wrong: list[str] = []
    served: Counter[str] = Counter()
    begin = time.monotonic()

    def work(number: int) -> None:
        store = Recording(site.store(), site.calls)
        try:
            node = store.join(
                NewNode(
                    workflow_id=workflow, epoch=CLOCK.uuid(), hostname=f"n{number}", pid=1, boot_id="b", process_start=1,
                    capacity=Resources(cpus=4, memory=2**36, gpus=0),
                )
            )  # fmt: skip
            ends: list[Ending] = []
            while True:
                offer = Offer(
                    claim_id=CLOCK.uuid(), free=[node.capacity], limit=4, wait_ms=0 if ends else 2_000
                )
                orders = store.turn(Turn(node=node.id, epoch=node.epoch, endings=ends, offer=offer))
                served.setdefault(node.hostname, round((time.monotonic() - begin) * 1000))
                if orders.complete:
                    break
                ends = [
                    Ending(
                        job=one.job.id, run_id=one.job.run_id, attempt_id=one.job.attempt_id, lease=one.job.lease,
                        status=JobStatus.COMPLETED, return_code=0,
                    )
                    for one in orders.jobs
                ]  # fmt: skip
                time.sleep(orders.pause_ms / 1000)
            store.leave(node.id, None)
        except Exception as error:
            wrong.append(f"runner {number}: {type(error).__name__}: {error}")
        finally:
            store.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(RUNNERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    owner.close()
    site.stop_server()

    assert (len(served), max(served.values(), default=0) < 60_000) == (RUNNERS, True), served
    row("F26 C22 runners at once", 0, RUNNERS, wrong + site.verdict())


@pytest.mark.timeout(0)
def test_readers_that_never_read_slow_nobody(site: Site, row: Callable[..., None]) -> None:
    site.serve()
    store = site.store()
    workflow = store.create(Plan(workflow=PlannedWorkflow(name="w")), "ada").id
    before = _memory(site)
    stalled = contextlib.ExitStack()
    for _ in range(STALLED):
        stalled.enter_context(_reader(site, store, workflow))

    waits, found = [], []
    for at in range(0, EVENTS, 10):
        begin = time.monotonic()
        store.add([Event(workflow_id=workflow, data={"n": at + one, "text": "x" * 200}) for one in range(10)])
        waits.append(time.monotonic() - begin)
    waits.sort()
    if waits[len(waits) * 99 // 100] > 1.0:
        found.append(f"p99 of a call was {waits[len(waits) * 99 // 100]:.2f} s")
    if (grown := _memory(site) - before) > 50:
        found.append(f"the server grew by {grown:.0f} MiB")

    stalled.close()
    store.close()
    site.stop_server()
    row("F27 C23 readers that never read", 0, STALLED, found + site.verdict(ends=False))


def _reader(site: Site, store: Any, workflow: int) -> socket.socket:
    """A connection that asks for the events of a workflow, sees that they come, and reads no more."""
    path = f"{store._line.place.prefix}/workflows/{workflow}/events/stream"
    headers = {
        "Host": f"127.0.0.1:{site.port}",
        "Accept": "text/event-stream",
        **store._signer.sign("GET", path, b""),
    }
    one = socket.create_connection(("127.0.0.1", site.port), 10)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    one.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
    answer = one.recv(200)
    assert b" 200 " in answer.splitlines()[0], answer
    return one


def _memory(site: Site) -> float:
    """Resident memory of the server in MiB."""
    assert site.server is not None
    with open(f"/proc/{site.server.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
