"""What the page "HPC Deployment Reference" does with Slurm, in its order, on a real cluster."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import jsonschema
from account import BIN

from torc_terminal import schemas

if TYPE_CHECKING:
    from account import Account


def sh(account: Account, text: str, code: int = 0) -> str:
    done = subprocess.run(
        ["bash", "-c", text], cwd=account.root, env=account.env, capture_output=True, text=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == code, f"{text}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def told(text: str) -> dict[str, dict[str, Any]]:
    found = json.loads(text)
    jsonschema.validate(found, schemas.load("torc.doctor/1"))
    return {one["id"]: one for one in found["checks"]}


def test_finding_the_internal_hostname(account: Account) -> None:
    sh(account, "hostname -A")
    sh(account, "grep $(hostname -s) /etc/hosts || true")
    assert account.cluster.address in sh(account, "scontrol show config | grep -i SlurmctldHost")

    found = json.loads(sh(account, "torc -f json hpc hostname --all --verify --yes"))

    jsonschema.validate(found, schemas.load("torc.hpc.hostname/1"))
    best = next(one for one in found["candidates"] if one["chosen"])
    assert best["from_node"] == "reached", found
    assert sh(account, "torc hpc hostname") == f"{best['name']}\n"


def test_compute_nodes_reach_the_server(account: Account) -> None:
    split = account.url.split("/")[2]
    host, _, port = split.partition(":")
    workflow = account.workflow("one", [{"name": "a", "command": "true"}])

    # As the page has it: a node for some minutes, then a look at the server from there.
    answer = sh(account, f'salloc -Q -N 1 -t 00:01:00 srun curl -s "{account.url}/workflows" | head -c 300')
    assert (
        "error" in answer and "token" in answer
    )  # the path works; who asks from there cannot be known (V1a)
    capability = (
        sh(account, f"torc-server token new --print --database torc.db --workflow {workflow}")
        .splitlines()[-1]
        .strip()
    )
    assert '"name":"one"' in sh(account, f'srun -N1 -t1 curl -s "{capability}/workflows/{workflow}"')
    sh(account, f"srun -N1 -t1 nc -zv {host} {port}")

    checks = told(
        sh(account, f"torc -f json doctor --from-compute-node --workflow {workflow} -o {account.out}")
    )
    assert checks["reach"]["status"] == "OK", checks["reach"]
    assert checks["slurm"]["status"] == "OK", checks["slurm"]
    assert (
        "squeue" in checks["slurm"]["evidence"] or "calls in the last minute" in checks["slurm"]["evidence"]
    )


def test_connection_refused_from_compute_nodes_is_diagnosed(account: Account) -> None:
    host = socket.gethostname().split(".")[0]
    server = subprocess.Popen(
        [BIN / "torc-server", "run", "--database", account.root / "inner.db", "--port", "0"], cwd=account.root,
        env={**account.env, "TORC_API_URL": ""}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        port = server.stdout.readline().strip().partition("=")[2]

        text = sh(
            account, f"torc -f json --url http://{host}:{port}/torc-service/v1 doctor --from-compute-node -o {account.out}",
            code=1,
        )  # fmt: skip
    finally:
        server.terminate()
        server.communicate(timeout=60)

    checks = told(text)
    assert checks["reach"]["status"] == "FAIL"
    assert "does not listen on that interface" in checks["reach"]["message"]
    assert checks["reach"]["remedy"] == "torc-server run --host auto"
    assert checks["listen"]["status"] == "FAIL"


def test_startup_jitter(account: Account) -> None:
    def window(workflow: int, *words: str) -> str | None:
        text = account.torc("slurm", "schedule-nodes", str(workflow), "--dry-run", *words)
        found = re.search(r"--startup-delay-seconds (\d+)", text)
        return None if found is None else found[1]

    four = {"name": "s", "account": "physics", "nodes": 4, "walltime": "00:10:00"}
    calm = account.workflow(
        "calm", [{"name": "a", "command": "true", "scheduler": "s"}], slurm_schedulers=[four]
    )
    bold = account.workflow(
        "bold", [{"name": "a", "command": "true", "scheduler": "s"}], slurm_schedulers=[four],
        execution_config={"staggered_start": False},
    )  # fmt: skip

    # The table of the page: 1 runner, 2-10, 11-100, more; then all nodes of all allocations, then none at all.
    assert [window(calm, "-n", count) for count in ("1", "2", "10", "11", "100", "1000")] == [
        None, "2", "10", "10", "60", "60",
    ]  # fmt: skip
    assert window(calm, "-n", "10", "--start-one-worker-per-node") == "26"
    assert window(bold, "-n", "1000") is None
    assert account.cluster.run("squeue", "-h") == ""
