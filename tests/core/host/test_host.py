"""The host opens what is chosen by name: here, through its owner, or with a sentence why not."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import torc_http
from torc_core import hookimpl
from torc_core.config import Config
from torc_core.errors import InvalidConfig, Owned, Unavailable, UnknownProvider
from torc_core.host import Host
from torc_core.model import Event, Query, Workflow
from torc_core.protocols import Store
from torc_core.providers import StoreProvider
from torc_core.system import SystemClock
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import diamond

CLOCK = SystemClock()


class Shelf:
    """A plugin with one database, which one host at a time has: what a file with a lock is to processes."""

    def __init__(self) -> None:
        self.owner: dict[str, str] | None = None
        self.records = MemoryStore(CLOCK)

    @hookimpl
    def torc_stores(self) -> list[StoreProvider]:
        return [StoreProvider(name="shelf", summary="A shelf.", open=self.open)]

    def open(self, url: str, settings: Any, clock: Any) -> Store:
        if self.owner is not None:
            raise Owned(f"database '{url}' is in use by process 42 on kl3", self.owner)
        self.owner = {}
        return cast("Store", Taken(self))


class Taken:
    """The database in the hands of one host."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def publish(self, address: Mapping[str, str]) -> None:
        self.shelf.owner = dict(address)

    def close(self) -> None:
        self.shelf.owner = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.shelf.records, name)


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="torc") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setenv("HOME", folder)
        yield


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def hosts(shelf: Shelf, sockets: None) -> tuple[Host, Host]:
    """Two processes' views of one machine."""
    return Host.of({"shelf": shelf, "http": torc_http}), Host.of({"shelf": shelf, "http": torc_http})


def test_a_store_is_opened_by_its_scheme(hosts: tuple[Host, Host]) -> None:
    store = hosts[0].open_store("shelf://a", CLOCK)

    assert store.create(diamond(), "ada").user == "ada"


def test_an_unknown_scheme_names_those_that_are_installed(hosts: tuple[Host, Host]) -> None:
    with pytest.raises(
        UnknownProvider, match=r"no store named 'ftp' \(installed: http, https, shelf, unix\)"
    ):
        hosts[0].open_store("ftp://server/x", CLOCK)


def test_what_another_process_owns_is_reached_through_it(hosts: tuple[Host, Host], shelf: Shelf) -> None:
    first = hosts[0].open_store("shelf://a", CLOCK)
    with hosts[0].own(first, CLOCK):
        second = hosts[1].open_store("shelf://a", CLOCK)
        created = second.create(diamond(), "ada")

        assert first.get(Workflow, created.id) == created
        assert shelf.owner is not None
        assert {"socket", "url", "port"} <= set(shelf.owner)
        second.close()


def test_a_store_is_served_no_longer_than_the_block_lasts(hosts: tuple[Host, Host], shelf: Shelf) -> None:
    first = hosts[0].open_store("shelf://a", CLOCK)
    with hosts[0].own(first, CLOCK):
        assert shelf.owner is not None
        socket = Path(shelf.owner["socket"])
        assert socket.exists()

    assert not socket.exists()


def test_when_the_owner_leaves_its_guest_takes_over_and_serves_others(
    hosts: tuple[Host, Host], shelf: Shelf
) -> None:
    first = hosts[0].open_store("shelf://a", CLOCK)
    with ExitStack() as stack:
        owning = stack.enter_context(ExitStack())
        owning.enter_context(hosts[0].own(first, CLOCK))
        guest = hosts[1].open_store("shelf://a", CLOCK)
        stack.enter_context(hosts[1].own(guest, CLOCK))
        workflow = guest.create(diamond(), "ada")
        before = shelf.owner

        owning.close()
        first.close()
        kept = guest.get(Workflow, workflow.id)
        third = hosts[0].open_store("shelf://a", CLOCK)

        assert kept == third.get(Workflow, workflow.id) == workflow
        assert before != shelf.owner
        third.close()
    guest.close()
    assert shelf.owner is None


def test_many_threads_of_a_guest_take_over_once(hosts: tuple[Host, Host], shelf: Shelf) -> None:
    first = hosts[0].open_store("shelf://a", CLOCK)
    with hosts[0].own(first, CLOCK):
        guest = hosts[1].open_store("shelf://a", CLOCK)
    first.close()
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(guest.find(Workflow, Query()).total)) for _ in range(8)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert found == [0] * 8
    guest.close()
    assert shelf.owner is None


def test_an_owner_that_does_not_answer_is_given_up_with_a_sentence(
    hosts: tuple[Host, Host], shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torc_core.host.OWNER_PATIENCE", 0.2)
    shelf.owner = {"socket": "/nowhere/at/all.sock"}

    with pytest.raises(Unavailable) as caught:
        hosts[0].open_store("shelf://a", CLOCK)

    assert str(caught.value) == (
        "database 'shelf://a' is in use by process 42 on kl3 but does not answer; end it and try again"
    )
    assert caught.value.exit_code == 4


def test_an_owner_without_an_address_is_told_as_it_is(hosts: tuple[Host, Host], shelf: Shelf) -> None:
    shelf.owner = {}

    with pytest.raises(Owned, match="is in use by process 42 on kl3"):
        hosts[0].open_store("shelf://a", CLOCK)


def test_observers_hear_of_every_commit_and_a_broken_one_stops_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[Sequence[Event]] = []
    ear = SimpleNamespace(torc_events=hookimpl(lambda events: heard.append(events)))
    deaf = SimpleNamespace(torc_events=hookimpl(lambda: heard.append(())))
    broken = SimpleNamespace(torc_events=hookimpl(lambda events: 1 / 0))
    memory = SimpleNamespace(
        torc_stores=hookimpl(
            lambda: [
                StoreProvider(
                    name="memory", summary="M.", open=lambda url, settings, clock: MemoryStore(clock)
                )
            ]
        )
    )
    host = Host.of({"ear": ear, "broken": broken, "deaf": deaf, "memory": memory})

    host.open_store("memory://", CLOCK).create(diamond(), "ada")

    assert [event.category for events in heard for event in events] == ["workflow_created"]
    assert () in heard
    assert "observer failed plugin=broken events=1" in caplog.text


def test_without_observers_the_store_is_not_listened_to() -> None:
    opened: list[MemoryStore] = []

    class Counting(MemoryStore):
        def listen(self, callback: Any) -> None:
            raise AssertionError("nobody listens")

    def open_counting(url: str, settings: Any, clock: Any) -> Store:
        opened.append(Counting(clock))
        return opened[-1]

    provider = StoreProvider(name="memory", summary="M.", open=open_counting)
    host = Host.of({"memory": SimpleNamespace(torc_stores=hookimpl(lambda: [provider]))})

    assert host.open_store("memory://", CLOCK) is opened[0]


def test_a_table_with_a_mistake_stops_at_once_and_one_of_nobody_warns(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[servers.http]\nmax_connexions = 3\n")
    with pytest.raises(
        InvalidConfig,
        match=r"c.toml:2: unknown key 'servers.http.max_connexions'; did you mean 'max_connections'\?",
    ):
        Host.of({"http": torc_http}, Config.load(environ={}, user_file=file))

    file.write_text("[stores.sqlite]\nnetwork_mode = 'x'\n")
    config = Config.load(environ={}, user_file=file)
    Host.of({"http": torc_http}, config)

    assert str(config.warnings[0]) == f"{file}:2: no plugin offers [stores.sqlite]"


def test_settings_of_a_provider_reach_it(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[servers.http]\nmax_connections = 3\n")
    host = Host.of({"http": torc_http}, Config.load(environ={}, user_file=file))

    assert host.settings("servers", host.servers["http"]).max_connections == 3


def test_the_first_plugin_that_can_tell_says_what_the_node_has() -> None:
    one = SimpleNamespace(torc_detect_resources=hookimpl(lambda environ: None))
    two = SimpleNamespace(torc_detect_resources=hookimpl(lambda environ: environ["X"]))
    host = Host.of({"one": two, "two": one}, Config(environ={"X": "found"}))

    assert cast("Any", host.detect_resources()) == "found"
