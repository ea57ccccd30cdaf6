"""Another process of the same user sees the same store; nobody else sees anything."""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from torc_core.errors import Conflict, Fenced, NotFound, Unavailable
from torc_core.model import (
    Initialize,
    Job,
    JobStatus,
    NewNode,
    Offer,
    Query,
    Resources,
    Turn,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import chain, diamond, fan
from torc_socket.client import REPEATABLE, SocketStore
from torc_socket.place import check_private, new_socket_path
from torc_socket.server import CALLS, SocketServer
from torc_socket.settings import SocketServerSettings, SocketStoreSettings
from torc_socket.wire import PROTOCOL, receive, send


def node(workflow: WorkflowId, epoch: str = "e1", cpus: int = 4) -> NewNode:
    capacity = Resources(cpus=cpus, memory=1024**3)
    return NewNode(
        workflow_id=workflow,
        epoch=epoch,
        hostname="h",
        pid=1,
        boot_id="b",
        process_start=1,
        capacity=capacity,
    )


def offer(claim: str, wait_ms: int = 0, limit: int = 64) -> Offer:
    return Offer(claim_id=claim, free=[Resources(cpus=4, memory=1024**3)], limit=limit, wait_ms=wait_ms)


def test_both_ends_speak_of_the_same_store(store: SocketStore, behind: MemoryStore) -> None:
    workflow = store.create(diamond(), "ada")
    store.initialize(workflow.id, Initialize())

    assert store.server_id == behind.server_id
    assert behind.get(Workflow, workflow.id) == store.get(Workflow, workflow.id)
    assert store.find(Job, Query(workflow=workflow.id)) == behind.find(Job, Query(workflow=workflow.id))
    assert [one.counts for one in store.totals([workflow.id])] == [
        one.counts for one in behind.totals([workflow.id])
    ]


def test_every_call_of_the_protocol_exists_with_the_same_signature() -> None:
    for name in CALLS - {"server_id"}:
        ours = inspect.signature(getattr(SocketStore, name))
        theirs = inspect.signature(getattr(Store, name))
        assert str(ours) == str(theirs), name
    assert REPEATABLE <= CALLS
    assert "close" not in CALLS


def test_errors_arrive_as_what_they_were(store: SocketStore) -> None:
    with pytest.raises(NotFound) as caught:
        store.get(Workflow, 99)

    assert caught.value.exit_code == 5
    assert "99" in str(caught.value)


def test_an_error_with_a_class_of_its_own_arrives_as_the_nearest_known_one(
    behind: MemoryStore, store: SocketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class VeryFenced(Fenced):
        """more than fenced"""

    def fenced(turn: Turn) -> None:
        raise VeryFenced("gone", hint="start again")

    monkeypatch.setattr(behind, "turn", fenced)

    with pytest.raises(Fenced, match="gone") as caught:
        store.turn(Turn(node=1, epoch="x"))  # type: ignore[arg-type]

    assert type(caught.value) is Fenced
    assert caught.value.hint == "start again"


def test_a_bug_in_a_call_is_told_and_the_server_lives(
    behind: MemoryStore, store: SocketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(behind, "required_files", lambda workflow: 1 / 0)

    with pytest.raises(Exception, match="ZeroDivisionError in the process that owns the database"):
        store.required_files(WorkflowId(1))

    assert store.server_id == behind.server_id


def test_a_held_turn_ends_when_work_is_released_and_delays_nobody(store: SocketStore, address: str) -> None:
    workflow = store.create(chain(2), "ada").id
    store.initialize(workflow, Initialize())
    first = store.join(node(workflow, "a"))
    second = store.join(node(workflow, "b"))
    (job,) = store.turn(Turn(node=first.id, epoch="a", offer=offer("c1"))).jobs
    got: list[Any] = []
    waiter = threading.Thread(
        target=lambda: got.append(
            store.turn(Turn(node=second.id, epoch="b", offer=offer("c2", wait_ms=20_000)))
        )
    )

    waiter.start()
    meanwhile = store.totals([workflow])[0]
    ending = ending_of(job)
    store.turn(Turn(node=first.id, epoch="a", endings=[ending]))
    waiter.join(10)

    assert meanwhile.counts[JobStatus.RUNNING] == 1
    assert [one.job.name for one in got[0].jobs] == ["job1"]


def ending_of(assignment: Any) -> Any:
    from torc_core.model import Ending

    job = assignment.job
    return Ending(
        job=job.id,
        run_id=job.run_id,
        attempt_id=job.attempt_id,
        lease=job.lease,
        status=JobStatus.COMPLETED,
        return_code=0,
    )


def test_many_threads_share_one_client_and_no_job_is_given_twice(store: SocketStore) -> None:
    workflow = store.create(fan(200), "ada").id
    store.initialize(workflow, Initialize())
    claimed: list[int] = []

    def claim(number: int) -> None:
        for turn in range(100):
            jobs = store.claim(workflow, offer(f"{number}-{turn}", limit=3))
            if not jobs:
                return
            claimed.extend(one.job.id for one in jobs)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(claimed) == len(set(claimed)) == 200


def test_a_lost_connection_is_made_again_for_calls_that_may_be_repeated(store: SocketStore) -> None:
    for connection in store._idle:
        connection.shutdown(socket.SHUT_RDWR)

    assert store.find(Workflow, Query()).total == 0


def test_a_call_that_may_not_be_repeated_is_not(folder: Path) -> None:
    path, heard = folder / "rude.sock", []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def listen_and_hang_up() -> None:
            connection, _ = listener.accept()
            with connection:
                send(connection, {"torc": "0", "protocol": PROTOCOL, "pid": 42})
                heard.append(receive(connection)["call"])

        thread = threading.Thread(target=listen_and_hang_up)
        thread.start()
        store = SocketStore(str(path), SocketStoreSettings(patience=0.2))
        with pytest.raises(Unavailable) as caught:
            store.create(diamond(), "ada")
        thread.join()

    assert type(caught.value) is Unavailable
    assert heard == ["create"]


def test_a_call_that_was_not_sent_whole_is_sent_again(store: SocketStore) -> None:
    for connection in store._idle:
        connection.shutdown(socket.SHUT_RDWR)

    assert store.create(diamond(), "ada").name


def test_a_closed_server_is_unavailable_and_leaves_no_socket_behind(
    store: SocketStore, server: SocketServer, address: str
) -> None:
    server.close()

    with pytest.raises(Unavailable, match="does not answer at"):
        store.find(Workflow, Query())
    assert not Path(address).exists()


def test_a_socket_that_nobody_serves_is_unavailable(folder: Path) -> None:
    path = folder / "dead.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))

    for name in (path, folder / "missing.sock"):
        with pytest.raises(Unavailable):
            SocketStore(str(name), SocketStoreSettings())


def test_a_server_that_never_says_hello_is_given_up(folder: Path) -> None:
    path = folder / "mute.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        with pytest.raises(Unavailable, match="timed out"):
            SocketStore(str(path), SocketStoreSettings(patience=0.1))


def test_another_protocol_is_told_with_both_versions(folder: Path) -> None:
    path = folder / "old.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def greet() -> None:
            connection, _ = listener.accept()
            send(connection, {"torc": "9.9.9", "protocol": 99, "pid": 42})
            connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(
            Unavailable, match=r"the process 42 that owns the database runs torc 9\.9\.9, this is torc"
        ):
            SocketStore(str(path), SocketStoreSettings())
        thread.join()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("!Q", 2**63) + b"x",
        struct.pack("!Q", 5 * 1024**2),
        struct.pack("!Q", 3) + b"{{{",
        struct.pack("!Q", 2) + b"[]",
        struct.pack("!Q", 16) + b'{"call":"close"}',
        struct.pack("!Q", 21) + b'{"call":"__class__"}\n',
        struct.pack("!Q", 100) + b"short",
    ],
)
def test_malformed_input_ends_the_connection_and_not_the_server(
    address: str, store: SocketStore, sent: bytes
) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        connection.settimeout(5)
        receive(connection)
        connection.sendall(sent)
        with contextlib.suppress(ConnectionResetError):  # hung up before everything was read
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b""

    assert store.find(Workflow, Query()).total == 0


def test_a_call_without_its_arguments_is_refused_and_the_connection_stays(address: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        receive(connection)
        send(connection, {"call": "get", "args": [], "named": {}})

        assert receive(connection)["error"] == "TorcError"


def test_more_connections_than_allowed_are_turned_away(address: str) -> None:
    stores = [SocketStore(address, SocketStoreSettings()) for _ in range(8)]

    with pytest.raises(Unavailable):
        SocketStore(address, SocketStoreSettings())

    for store in stores:
        store.close()


def test_the_socket_is_for_its_user_alone(address: str) -> None:
    assert Path(address).stat().st_mode & 0o777 == 0o600
    assert Path(address).parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_gets_no_word(address: str, folder: Path) -> None:
    folder.chmod(0o777)
    Path(address).chmod(0o777)
    program = (
        "import os, socket; os.setuid(4321); s = socket.socket(socket.AF_UNIX);"
        f"s.connect({address!r}); s.settimeout(5); print(repr(s.recv(100)))"
    )

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout == "b''\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_server_of_another_user_is_not_spoken_to(folder: Path) -> None:
    path = folder / "theirs.sock"
    os.chown(folder, 4321, 4321)
    program = (
        f"import os, socket; os.setuid(4321); s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); s.listen();"
        "print('ready', flush=True); c, _ = s.accept(); print(repr(c.recv(100)))"
    )
    theirs = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert theirs.stdout is not None
    theirs.stdout.readline()
    os.chown(folder, 0, 0)

    with pytest.raises(Unavailable, match="belongs to another user"):
        SocketStore(str(path), SocketStoreSettings())

    assert theirs.communicate(timeout=10)[0] == "b''\n"


@pytest.fixture
def runtime(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder


def test_sockets_lie_in_the_users_runtime_folder(runtime: Path) -> None:
    path = new_socket_path(None)

    assert path.parent == runtime / "torc"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.name.startswith(f"{os.getpid()}-")


def test_without_a_runtime_folder_they_lie_in_one_with_the_users_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)

    assert new_socket_path(None).parent == Path(f"/tmp/torc-{os.geteuid()}")


def test_a_runtime_folder_with_too_long_a_name_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))

    assert new_socket_path(None).parent == Path(f"/tmp/torc-{os.geteuid()}")


def test_a_planted_link_is_not_followed(runtime: Path, tmp_path: Path) -> None:
    (runtime / "torc").symlink_to(tmp_path)

    with pytest.raises(Unavailable, match="is no folder"):
        new_socket_path(None)


def test_a_folder_open_to_others_is_refused(runtime: Path) -> None:
    (runtime / "torc").mkdir()
    (runtime / "torc").chmod(0o755)

    with pytest.raises(Unavailable, match="is open to others; run 'chmod 700"):
        new_socket_path(None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(folder: Path) -> None:
    os.chown(folder, 4321, 4321)

    with pytest.raises(Unavailable, match="belongs to uid 4321"):
        check_private(folder)


def test_sockets_of_killed_owners_are_swept_and_living_ones_stay(runtime: Path, behind: MemoryStore) -> None:
    dead = new_socket_path(None)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(dead))
    alive = SocketServer(behind, SocketServerSettings())
    living = Path(alive.start()["socket"])
    for path in (dead, living):
        os.utime(path, (1, 1))

    new_socket_path(None)

    assert not dead.exists()
    assert living.exists()
    alive.close()


def test_closing_twice_and_closing_what_never_started_has_no_effect(
    behind: MemoryStore, folder: Path
) -> None:
    server = SocketServer(behind, SocketServerSettings(directory=str(folder)))

    server.close()
    server.close()


def test_an_owner_that_is_killed_leaves_its_callers_with_a_sentence(folder: Path) -> None:
    program = f"""
import sys, time
from torc_core.testing.memory import MemoryStore
from torc_core.system import SystemClock
from torc_socket.server import SocketServer
from torc_socket.settings import SocketServerSettings
print(SocketServer(MemoryStore(SystemClock()), SocketServerSettings(directory={str(folder)!r})).start()["socket"], flush=True)
sys.stdin.read()
"""
    owner = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    store = SocketStore(owner.stdout.readline().strip(), SocketStoreSettings())
    workflow = store.create(diamond(), "ada")

    owner.send_signal(signal.SIGKILL)
    owner.communicate()

    with pytest.raises(Unavailable, match="the process that owns the store does not answer at"):
        store.get(Workflow, workflow.id)
    store.close()


def test_conflicts_of_several_classes_keep_their_exit_codes(store: SocketStore) -> None:
    workflow = store.create(fan(1), "ada").id
    store.initialize(workflow, Initialize())
    store.claim(workflow, offer("c"))

    with pytest.raises(Conflict):
        store.delete(workflow)
    store.delete(workflow, force=True)

    assert store.find(Workflow, Query()).total == 0
    assert SystemClock().now() > 0
