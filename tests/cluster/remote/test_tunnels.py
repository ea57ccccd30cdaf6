"""Workers that cannot reach the server are led there, and nobody else is let in (`remote.md` §9, §17.8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torc_core.model import Query, RemoteWorker


def tunnels(root: Path, workflow: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            mine = f"HOME={root}".encode() in (path / "environ").read_bytes().split(b"\0")
            words = (path / "cmdline").read_bytes().split(b"\0")
            if mine and b"torc_ssh.tunnel.process" in words and workflow.encode() in words:
                found.append(int(path.name))
        except OSError:
            continue
    return found


def test_from_a_laptop_with_nothing_set_up(bare: Any, until: Any) -> None:
    (bare.root / "workers.txt").write_text("w1\nw2  # the other\n\n# none\n")
    workflow = bare.workflow(*["hostname"] * 6)

    ran = bare.popen("remote", "run", str(workflow), "--workers", "workers.txt", "--num-cpus", "1")
    out, err = ran.communicate(timeout=100)
    bare.until_complete(workflow)

    assert ran.returncode == 0, out + err
    assert "started a server for" in err
    assert "are led there by process" in err
    assert "Started 2/2 workers" in out
    assert bare.counts(workflow)["completed"] == 6
    until(lambda: not tunnels(bare.root, str(workflow)))
    bare.torc("server", "stop")


def test_the_port_of_a_tunnel_lets_nobody_in_without_a_key(desk: Any, until: Any) -> None:
    workflow = str(desk.workflow("sleep 600"))
    desk.torc("remote", "add-workers", workflow, "w1")

    told = desk.answer("remote", "run", workflow, "--reverse-tunnel", "always")
    status = desk.answer("remote", "status", workflow)
    with desk.store() as store:
        (worker,) = store.find(RemoteWorker, Query(workflow=int(workflow))).items
    options = worker.options
    address = options["url"].replace("/torc-service/v1", "")
    asked = desk.hosts["w1"].run(
        "python3", "-c",
        f"import urllib.request as u, urllib.error as e\ntry: print(u.urlopen('{options['url']}/workflows').status)\n"
        "except e.HTTPError as error: print(error.code)",
        check=False,
    )  # fmt: skip
    desk.torc("remote", "stop", workflow, "--force")

    assert told["results"][0]["tunnel"] is True
    assert address.startswith("http://127.0.0.1:")
    assert status["items"][0]["tunnel"].startswith("tunnel: up")
    assert asked.strip() == "401"
    until(lambda: not tunnels(desk.root, workflow))


def test_localhost_is_recognised_and_explained(bare: Any) -> None:
    bare.serve("--host", "127.0.0.1")
    workflow = str(bare.workflow("true"))
    bare.torc("remote", "add-workers", workflow, "w1")

    never = bare.torc("remote", "run", workflow, "--reverse-tunnel", "never", code=[1, 2])

    assert "--worker-url" in never
    assert bare.hosts.address in never
    assert not bare.workers_on("w1")


def test_a_host_that_forbids_forwarding_says_so(bare: Any) -> None:
    bare.serve("--host", "127.0.0.1")
    bare.hosts["w5"].configure("AllowTcpForwarding no\n")
    workflow = str(bare.workflow("true"))
    bare.torc("remote", "add-workers", workflow, "w5")

    told = bare.answer("remote", "run", workflow, code=1)

    assert told["results"][0]["status"] == "failed"
    assert "forward" in told["results"][0]["message"].lower()


def test_a_tunnel_comes_back_on_the_same_port(bare: Any, until: Any) -> None:
    bare.serve("--host", "127.0.0.1")
    workflow = bare.workflow(*["sleep 2"] * 4)
    bare.torc("remote", "add-workers", str(workflow), "w2")
    bare.torc("remote", "run", str(workflow), "--num-cpus", "1")

    # Sessions of sshd end, and with them the tunnel; the worker goes on.
    bare.hosts["w2"].run("pkill", "-f", "sshd: dev", check=False)
    bare.until_complete(workflow)

    assert bare.counts(workflow)["completed"] == 4


def test_a_tunnel_comes_back_on_the_same_port_when_this_host_has_moved(bare: Any, until: Any) -> None:
    """As with a laptop that is carried to another network: the machine's old connection is never told that it is over."""
    network, address = bare.hosts.network, bare.hosts["w1"].address
    former = f"{network.net}.249"
    bare.configure("Host *\n  ServerAliveInterval 1\n  ServerAliveCountMax 1\n")
    bare.serve("--host", "127.0.0.1")
    workflow = bare.workflow(*["sleep 1"] * 6)
    bare.torc("remote", "add-workers", str(workflow), "w1")
    network.take(former, to=address)
    try:
        bare.torc("remote", "run", str(workflow), "--num-cpus", "1")
        until(lambda: bare.counts(workflow)["running"])
        sessions = bare.hosts["w1"].run("pgrep", "-f", "^sshd: dev@").split()
    finally:
        network.give_back(former, to=address)
    bare.until_complete(workflow)

    assert bare.counts(workflow)["completed"] == 6
    assert not {*sessions} & {*bare.hosts["w1"].run("pgrep", "-f", "^sshd: dev@", check=False).split()}
