"""Two hundred hosts of which five are dead: asking them all takes little longer than waiting for one (RW67).

What stands for torc on the hosts answers at once: two hundred interpreters would measure this machine, which is all of them.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from torc_core import __version__
from torc_core.model import NewNode, Resources

HOSTS = int(os.environ.get("TORC_TEST_REMOTE_HOSTS", "40"))
"""The promise is 200."""
BEYOND = float(os.environ.get("TORC_TEST_REMOTE_BEYOND", "20"))
"""Seconds more than one dead host takes; 5 on a machine with nothing else to do."""
DEAD = 5
TIMEOUT = 4.0

ANSWERING = f"""\
#!/bin/sh
read -r line
marker=${{line#*'"marker": "'}}
marker=${{marker%%'"'*}}
printf '\\n%s\\n{{"protocol": 1, "version": "{__version__}", "status": "not running"}}\\n' "$marker"
"""


def test_dead_hosts_among_many_cost_no_more_than_one(desk: Any) -> None:
    workers, dead = desk.hosts.workers, [f"dead{number}" for number in range(DEAD)]
    well = [f"host{number}" for number in range(HOSTS - DEAD)]
    lines = [f"Host {name}\n  HostName {desk.hosts.place('dropped')[0]}\n" for name in dead]
    for number, name in enumerate(well):
        address, port = desk.hosts.place(workers[number % len(workers)])
        lines.append(f"Host {name}\n  HostName {address}\n  Port {port}\n")
    desk.configure("".join(lines))
    for one in workers:
        path = Path(desk.hosts[one].folder) / "home/dev/answering"
        path.write_text(ANSWERING)
        path.chmod(0o755)
    workflow = desk.prepared("true", *well, *dead)
    with desk.store() as store:
        for number, name in enumerate(well):
            store.join(
                NewNode(
                    workflow_id=workflow, epoch=f"e{number}", hostname=name, pid=1, boot_id=f"b{number}", process_start=1,
                    capacity=Resources(cpus=1, memory=1 << 30), scheduler={"type": "remote", "worker": name},
                )
            )  # fmt: skip
    env = {
        "TORC_CLIENT__REMOTE__TORC_COMMAND": "~/answering",
        "TORC_CLIENT__REMOTE__CONNECT_TIMEOUT_SECS": str(int(TIMEOUT)),
    }

    begin = time.monotonic()
    told = desk.answer("remote", "status", str(workflow), code=1, **env)
    seconds = time.monotonic() - begin

    assert [one["worker"] for one in told["items"]] == [*well, *dead]
    assert Counter(one["status"] for one in told["items"]) == {
        "not running": HOSTS - DEAD,
        "unreachable": DEAD,
    }
    print(f"\n{HOSTS} hosts of which {DEAD} are dead: {seconds:.1f} s with a timeout of {TIMEOUT:g} s")
    assert seconds < TIMEOUT + BEYOND
