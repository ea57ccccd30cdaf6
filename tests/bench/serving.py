"""Measure what torc promises of its server, beside a bare process-spawn loop in the same run, as one table.

    python tests/bench/serving.py            # every figure
    python tests/bench/serving.py --quick    # a tenth of the work
    python tests/bench/serving.py --only flat herd

One server process and its callers share the machine, as they do on a laptop; only the thousand runners of the herd,
which would have machines of their own, take what is left of this one (`crowd`). The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent))

from crowd import work
from figures import Bench, Figure, bare, write

from torc_core.config.credentials import Credentials
from torc_core.model import (
    Ending,
    Initialize,
    Job,
    JobStatus,
    NewNode,
    Offer,
    Plan,
    PlannedJob,
    PlannedWorkflow,
    Query,
    Resources,
    Result,
    Turn,
)
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_http import open_store
from torc_http.client.settings import HttpStoreSettings

CLOCK = SystemClock()


class Server:
    """A server process with a home of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.env = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "USER": "bench",
            "XDG_RUNTIME_DIR": str(folder),
            "TORC_SERVER__STREAMS_PER_USER": "64",
        }
        words = [
            "server",
            "run",
            "--database",
            str(folder / "torc.db"),
            "--port",
            "0",
            "--threads",
            "4",
            "--quiet",
        ]
        with (folder / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                [Path(sys.executable).with_name("torc"), *words], cwd=folder, env=self.env, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline(), self.process.stdout.readline()]
        self.url = lines[1].partition("=")[2].strip()
        self.port = int(lines[0].partition("=")[2])

    def store(self) -> Store:
        """A store behind the server."""
        return store_of(self.url, self.folder)

    def token(self) -> str:
        """A token for programs that hold no key."""
        done = subprocess.run(
            [Path(sys.executable).with_name("torc"), "server", "token", "new", "--all-workflows", "--class", "read", "--print",
             "--database", str(self.folder / "torc.db")],
            cwd=self.folder, capture_output=True, text=True, env=self.env, stdin=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        return done.stdout.partition("/t/")[2].partition("/")[0]

    def torc(self, *words: str) -> float:
        """Run a command against the server as a whole process; seconds."""
        begin = time.perf_counter()
        done = subprocess.run(
            [Path(sys.executable).with_name("torc"), *words], cwd=self.folder, capture_output=True, text=True,
            env={**self.env, "TORC_API_URL": self.url}, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"torc {' '.join(words)}: exit {done.returncode}\n{done.stderr[-2000:]}")
        return time.perf_counter() - begin

    @property
    def peak(self) -> float:
        """Most resident memory so far, in MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmHWM:")[2].split()[0]) / 1024

    def close(self) -> None:
        """Stop it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server for as long as the block lasts."""
    server = Server(folder)
    try:
        yield server
    finally:
        server.close()


def store_of(url: str, folder: Path) -> Store:
    """A store behind a server whose key lies in this home."""
    credentials = Credentials(username="bench", key_folder=folder / ".config/torc/servers")
    return open_store(url, HttpStoreSettings(), CLOCK, credentials)


def flat(bench: Bench) -> Iterator[Figure]:
    """Independent no-op jobs with one server process and one runner process."""
    jobs = bench.size(5_000)
    spec = {"name": "flat", "jobs": [{"name": "j{i}", "command": "true", "parameters": {"i": f"1:{jobs}"}}]}
    ratios, rates = [], []
    for turn in range(3):
        with serving(bench.folder / f"flat{turn}") as server:
            path = write(server.folder, spec)
            before = bare(jobs, server.folder / "bare")
            wall = server.torc("run", path, "--num-cpus", "2", "--memory-gb", "4", "--quiet")
            after = bare(jobs, server.folder / "bare")
        each = wall / jobs
        ratios.append((before + after) / 2 / each)
        rates.append(1 / each)
    detail = f"{statistics.median(rates):.0f} jobs/s"
    yield Figure(work=f"{jobs} no-op jobs over HTTP, of the bare loop", value=statistics.median(ratios),
                 unit="of bare", goal=0.6, more_is_better=True, detail=detail)  # fmt: skip


def chain(bench: Bench) -> Iterator[Figure]:
    """One job after the other over HTTP."""
    jobs = bench.size(1_000)
    spec = {
        "name": "chain",
        "jobs": [
            {"name": f"j{n}", "command": "true", **({"depends_on": [f"j{n - 1}"]} if n else {})}
            for n in range(jobs)
        ],
    }
    with serving(bench.folder / "chain") as server:
        path = write(server.folder, spec)
        each = bare(jobs, server.folder / "bare", width=1)
        wall = server.torc("run", path, "--num-cpus", "2", "--memory-gb", "4", "--quiet")
    hop = (wall / jobs - each) * 1000
    yield Figure(work=f"chain of {jobs} over HTTP, beyond the spawn", value=hop, unit="ms/hop", goal=8.0)


def endings(given: Any) -> list[Ending]:
    """The ends of claimed jobs, as a runner that runs nothing would report them."""
    return [
        Ending(
            job=one.job.id, run_id=one.job.run_id, attempt_id=one.job.attempt_id, lease=one.job.lease,
            status=JobStatus.COMPLETED, return_code=0,
        )
        for one in given
    ]  # fmt: skip


def joined(store: Store, workflow: int, cpus: int, name: str) -> Any:
    """A runner of so many CPUs."""
    return store.join(
        NewNode(
            workflow_id=workflow,
            epoch=CLOCK.uuid(),
            hostname=name,
            pid=os.getpid(),
            boot_id="b",
            process_start=1,
            capacity=Resources(cpus=cpus, memory=2**40, gpus=0),
        )  # type: ignore[arg-type]  # a workflow's number
    )


def flat_plan(jobs: int) -> Plan:
    """So many jobs that wait for nothing."""
    return Plan(
        workflow=PlannedWorkflow(name="flat"),
        jobs=[PlannedJob(name=f"j{n}", command="true") for n in range(jobs)],
    )


def claims(bench: Bench) -> Iterator[Figure]:
    """Claims and completions in batches of 64 by one runner that runs nothing."""
    jobs = bench.size(20_000)
    with serving(bench.folder / "claims") as server:
        store = server.store()
        workflow = store.create(flat_plan(jobs), "bench").id
        store.initialize(workflow, Initialize())
        node = joined(store, workflow, 64, "n")
        begin, done, ends = time.perf_counter(), 0, list[Ending]()
        while done < jobs:
            offer = Offer(claim_id=CLOCK.uuid(), free=[node.capacity], limit=64)
            orders = store.turn(Turn(node=node.id, epoch=node.epoch, endings=ends, offer=offer))
            done += len(ends)
            ends = endings(orders.jobs)
        rate = jobs / (time.perf_counter() - begin)
        store.close()
    yield Figure(
        work="claims and completions over HTTP, by 64",
        value=rate,
        unit="jobs/s",
        goal=2_000,
        more_is_better=True,
    )


class Bystanders:
    """Connections that ask for nothing, and readers of events that never read."""

    def __init__(self, server: Server, idle: int, stalled: int) -> None:
        host, port = urlsplit(server.url).hostname, server.port
        self.sockets = []
        token = server.token()
        for number in range(idle + stalled):
            one = socket.create_connection((host, port), timeout=10)
            if number < stalled:
                with suppress(OSError):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                one.sendall(
                    f"GET /torc-service/v1/x/events/stream?level=debug HTTP/1.1\r\nHost: {host}\r\n"
                    f"Authorization: Bearer {token}\r\n\r\n".encode()
                )
                if b" 200 " not in (head := one.recv(64)):
                    raise SystemExit(f"a reader of events was refused: {head!r}")
            self.sockets.append(one)

    def close(self) -> None:
        """Hang up."""
        for one in self.sockets:
            one.close()


def look_on(server: Server, idle: Server, crowd: multiprocessing.Process) -> tuple[list[float], list[float]]:
    """Call `torc status` as long as the crowd is there, and in turn that of a server that nobody else asks; seconds."""
    calls, quiet = list[float](), list[float]()
    while crowd.is_alive():
        calls.append(server.torc("-f", "json", "status", "1"))
        quiet.append(idle.torc("-f", "json", "status", "1"))
        time.sleep(0.2)
    return calls, quiet


def herd(bench: Bench) -> Iterator[Figure]:
    """A thousand runners that come within one second and work through twenty thousand jobs, with and without a crowd."""
    runners, jobs = bench.size(1_000), bench.size(20_000)
    for name, idle, stalled in (
        ("", 0, 0),
        (", 1,500 idle and 50 stalled", bench.size(1_500), bench.size(50)),
    ):
        with (
            serving(bench.folder / f"herd{idle}") as server,
            serving(bench.folder / f"beside{idle}") as beside,
        ):
            of_beside = beside.store()
            of_beside.create(flat_plan(jobs), "bench")
            of_beside.close()
            store = server.store()
            workflow = store.create(flat_plan(jobs), "bench").id
            store.initialize(workflow, Initialize())
            bystanders = Bystanders(server, idle, stalled)
            told: Any = multiprocessing.Queue()
            at = time.time() + 2.0
            crowd = multiprocessing.Process(
                target=work,
                args=(server.url, server.port, str(server.folder), workflow, runners, at, told),
            )
            crowd.start()
            time.sleep(max(0.0, at - time.time()))
            calls, quiet = look_on(server, beside, crowd)
            sums: Counter[str] = Counter(told.get(timeout=60))
            last = sums.pop("last_served", 0)
            crowd.join()
            wall, peak = sums.pop("wall") / 1000, server.peak
            found = store.find(Result, Query(workflow=workflow, limit=1_000_000)).items
            doubled = len(found) - len({(one.job_id, one.run_id) for one in found})
            lost = jobs - len({one.job_id for one in found})
            bystanders.close()
            store.close()
        wrong = {key: count for key, count in sums.items() if key.startswith("error")}
        detail = f"{sums['joined']} joined, {sums['ended']} ended, all done in {wall:.1f} s {wrong or ''}"
        yield Figure(
            work=f"{runners} runners at once{name}: last served",
            value=last / 1000,
            unit="s",
            goal=60,
            detail=detail,
        )
        yield Figure(
            work=f"{runners} runners at once{name}: doubled or lost",
            value=doubled + lost,
            unit="jobs",
            goal=0,
        )
        yield Figure(work=f"{runners} runners at once{name}: memory", value=peak, unit="MiB", goal=500)
        yield Figure(
            work=f"{runners} runners at once{name}: slowest command",
            value=max(calls, default=0.0),
            unit="s",
            goal=1.0,
            detail=f"{len(calls)} calls, median {statistics.median(calls):.2f} s; of a server that nobody else asks, in "
            f"turn: slowest {max(quiet):.2f} s, median {statistics.median(quiet):.2f} s",
        )


def looks(bench: Bench) -> Iterator[Figure]:
    """What people wait for among a hundred thousand jobs, three fifths of which are done: from a request to its answer."""
    jobs = bench.size(100_000)
    with serving(bench.folder / "looks") as server:
        store = server.store()
        plan = Plan(
            workflow=PlannedWorkflow(name="looks"),
            jobs=[PlannedJob(name=f"stage_{n % 4}_{n:06d}", command="true") for n in range(jobs)],
        )
        begin = time.perf_counter()
        workflow = store.create(plan, "bench").id
        created = time.perf_counter() - begin
        yield Figure(work=f"create a plan of {jobs:,} jobs over HTTP", value=created, unit="s", goal=20)
        store.initialize(workflow, Initialize())
        done = 0
        while done < jobs * 0.6:
            room = Resources(cpus=2_000, memory=2**60)
            given = store.claim(workflow, Offer(claim_id=CLOCK.uuid(), free=[room], limit=2_000))
            store.finish(workflow, [replace(one, exec_minutes=1.0) for one in endings(given)])
            done += len(given)
        (job,) = store.find(Job, Query(workflow=workflow, where={"status": JobStatus.READY}, limit=1)).items
        for what, goal, path in (
            ("status with all that is shown", 100, f"/workflows/{workflow}/status?view=full"),
            ("status by stages", 100, f"/workflows/{workflow}/status?view=full&by_stage=true"),
            ("explain a workflow", 200, f"/x/workflows/{workflow}/explain"),
            ("explain a job", 200, f"/x/jobs/{job.id}/explain"),
            ("a page of 100 jobs", 50, f"/jobs?workflow_id={workflow}&limit=100"),
            (
                "a page of 100 jobs near the end",
                50,
                f"/jobs?workflow_id={workflow}&limit=100&offset={jobs - 200}",
            ),
            ("a page of 100 results", 50, f"/results?workflow_id={workflow}&limit=100"),
        ):
            spans = []
            for _ in range(7):
                begin = time.perf_counter()
                store.ask("GET", path, b"")  # type: ignore[attr-defined]  # a store behind a server
                spans.append(1000 * (time.perf_counter() - begin))
            yield Figure(
                work=f"{what}, {jobs:,} jobs",
                value=statistics.median(spans),
                unit="ms",
                goal=goal,
                detail="median of 7",
            )
        store.close()


FIGURES: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "flat": flat, "chain": chain, "claims": claims, "looks": looks, "herd": herd,
}  # fmt: skip


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--only", nargs="*", choices=FIGURES, default=list(FIGURES))
    asked = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory(prefix="torc-bench-") as folder:
        bench = Bench(folder=Path(folder), scale=0.1 if asked.quick else 1.0)
        for name in asked.only:
            for figure in FIGURES[name](bench):
                print(figure, flush=True)
                found.append(figure)
    print(json.dumps([asdict(one) | {"held": one.held} for one in found]))


if __name__ == "__main__":
    main()
