"""The session protocol: whoever does not hold the key can neither ask nor answer."""

from __future__ import annotations

import io
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torc_core.errors import Unavailable
from torc_core.testing.plugin import SetClock
from torc_http.auth import front, keyfile
from torc_http.auth.encoding import as_bytes, as_number, as_text, digest, packed
from torc_http.auth.keyfile import KeyFile, Keys
from torc_http.auth.session import PAUSE, ClientSession, Unproven
from torc_http.auth.sessions import UNUSED, WINDOW, Sessions, Signed, Window

URL = "http://127.0.0.1:8085"


class Server:
    """The server's side, with a key of its own."""

    def __init__(self, folder: Path, clock: SetClock, name: str = "one") -> None:
        self.key = keyfile.ensured(folder, f"server-{name}", [URL], None, clock.now())
        self.keys = Keys(folder / f"server-{name}.json")
        self.sessions = Sessions(self.keys, clock)

    def post(self, told: dict[str, str]) -> tuple[int, object]:
        begun = self.sessions.begin(told["key_id"], told["client_nonce"])
        return (200, dict(begun)) if begun else (401, {"error": {"message": "no"}})


@pytest.fixture
def server(tmp_path: Path, clock: SetClock) -> Server:
    return Server(tmp_path / "home", clock)


@pytest.fixture
def client(server: Server, clock: SetClock) -> ClientSession:
    return ClientSession([server.key], "kl3:8085", server.post, clock, wait=clock.move)


def test_what_the_client_signs_the_server_accepts_and_proves(server: Server, client: ClientSession) -> None:
    seal = client.sign("POST", "/torc-service/v1/x?a=b%20c", b"body")

    signed = server.sessions.accept(
        seal.authorization, "POST", "/torc-service/v1/x?a=b%20c", lambda: digest(b"body")
    )

    assert isinstance(signed, Signed)
    assert signed.key_id == server.key.key_id
    client.check(seal, 200, signed.proof(200, b"answer"), b"answer")
    client.check(seal, 200, signed.proof(200, None), None)


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("PUT", "/a", b"x"),
        ("POST", "/b", b"x"),
        ("POST", "/a?", b"x"),
        ("POST", "/a", b"y"),
        ("POST", "/a", b""),
    ],
)
def test_a_changed_request_is_refused(
    server: Server, client: ClientSession, method: str, target: str, body: bytes
) -> None:
    seal = client.sign("POST", "/a", b"x")

    assert server.sessions.accept(seal.authorization, method, target, lambda: digest(body)) == "wrong"


def test_a_request_is_accepted_once(server: Server, client: ClientSession) -> None:
    seal = client.sign("GET", "/a")
    first = server.sessions.accept(seal.authorization, "GET", "/a", lambda: digest(b""))

    again = server.sessions.accept(seal.authorization, "GET", "/a", lambda: digest(b""))

    assert isinstance(first, Signed)
    assert again == "replayed"


def test_the_number_belongs_to_the_signature(server: Server, client: ClientSession) -> None:
    seal = client.sign("GET", "/a")
    other = seal.authorization.replace("n=1,", "n=2,")

    assert server.sessions.accept(other, "GET", "/a", lambda: digest(b"")) == "wrong"


def test_requests_may_overtake_each_other(server: Server, client: ClientSession) -> None:
    seals = [client.sign("GET", "/a") for _ in range(100)]

    answers = [
        server.sessions.accept(one.authorization, "GET", "/a", lambda: digest(b"")) for one in reversed(seals)
    ]

    assert all(isinstance(one, Signed) for one in answers)


@pytest.mark.parametrize("cut", [1, 10, 30, 60])
def test_a_truncated_header_is_refused(server: Server, client: ClientSession, cut: int) -> None:
    seal = client.sign("GET", "/a")

    told = server.sessions.accept(seal.authorization[:-cut], "GET", "/a", lambda: digest(b""))

    assert isinstance(told, str)


def test_a_signature_of_another_session_is_refused(server: Server, clock: SetClock) -> None:
    one = ClientSession([server.key], "a", server.post, clock).sign("GET", "/a")
    two = ClientSession([server.key], "a", server.post, clock).sign("GET", "/a")
    crossed = two.authorization.replace(two.session_id, one.session_id)

    assert server.sessions.accept(crossed, "GET", "/a", lambda: digest(b"")) == "wrong"


def test_an_answer_to_another_request_is_no_answer(server: Server, client: ClientSession) -> None:
    seals = [client.sign("GET", "/a") for _ in range(2)]
    signed = [server.sessions.accept(one.authorization, "GET", "/a", lambda: digest(b"")) for one in seals]
    assert isinstance(signed[0], Signed)

    with pytest.raises(Unproven):
        client.check(seals[1], 200, signed[0].proof(200, b"x"), b"x")


@pytest.mark.parametrize(("status", "body"), [(201, b"x"), (200, b"y"), (200, None)])
def test_a_changed_answer_is_no_answer(
    server: Server, client: ClientSession, status: int, body: bytes | None
) -> None:
    seal = client.sign("GET", "/a")
    signed = server.sessions.accept(seal.authorization, "GET", "/a", lambda: digest(b""))
    assert isinstance(signed, Signed)

    with pytest.raises(
        Unproven, match=r"the server at kl3:8085 does not hold your key; it may belong to somebody"
    ):
        client.check(seal, status, signed.proof(200, b"x"), body)


@pytest.mark.parametrize("proof", [None, "", "x", "é", "a" * 10_000])
def test_an_answer_without_proof_is_no_answer(client: ClientSession, proof: str | None) -> None:
    seal = client.sign("GET", "/a")

    with pytest.raises(Unproven):
        client.check(seal, 200, proof, b"")


def test_a_server_with_another_key_gets_nothing(tmp_path: Path, server: Server, clock: SetClock) -> None:
    squatter = Server(tmp_path / "elsewhere", clock)
    posted: list[dict[str, str]] = []

    def post(told: dict[str, str]) -> tuple[int, object]:
        posted.append(told)
        begun = squatter.sessions.begin(squatter.key.key_id, told["client_nonce"])
        assert begun
        return 200, dict(begun)

    with pytest.raises(Unproven) as caught:
        ClientSession([server.key], "kl3:8085", post, clock).sign("POST", "/claim", b"secret")

    assert caught.value.exit_code == 6
    assert set(posted[0]) == {"key_id", "client_nonce"}


@pytest.mark.parametrize(
    "told",
    [None, [], {}, "text", {"session_id": 1}, {"session_id": "a", "server_nonce": "b", "server_proof": "c"}],
)
def test_a_server_that_answers_nonsense_gets_nothing(server: Server, clock: SetClock, told: object) -> None:
    with pytest.raises(Unproven):
        ClientSession([server.key], "a", lambda sent: (200, told), clock).sign("GET", "/")


def test_of_several_keys_the_one_that_holds_is_taken(tmp_path: Path, server: Server, clock: SetClock) -> None:
    older = Server(tmp_path / "elsewhere", clock, "two").key

    seal = ClientSession([older, server.key], "a", server.post, clock).sign("GET", "/a")

    assert isinstance(server.sessions.accept(seal.authorization, "GET", "/a", lambda: digest(b"")), Signed)


def test_a_server_that_was_started_anew_knows_no_session(
    tmp_path: Path, server: Server, client: ClientSession, clock: SetClock
) -> None:
    seal = client.sign("GET", "/a")
    server.sessions = Sessions(server.keys, clock)
    assert server.sessions.accept(seal.authorization, "GET", "/a", lambda: digest(b"")) == "unknown"

    client.forget(seal)
    again = client.sign("GET", "/a")

    assert isinstance(server.sessions.accept(again.authorization, "GET", "/a", lambda: digest(b"")), Signed)


def test_a_server_that_is_started_anew_twice_within_seconds_is_asked_after_a_pause(
    server: Server, clock: SetClock
) -> None:
    waited: list[float] = []
    client = ClientSession([server.key], "a", server.post, clock, wait=waited.append)
    seal = client.sign("GET", "/a")
    clock.move(1.5)
    server.sessions = Sessions(server.keys, clock)

    client.forget(seal)
    again = client.sign("GET", "/a")
    clock.move(PAUSE)
    client.forget(again)
    client.sign("GET", "/a")

    assert waited == [PAUSE - 1.5]
    assert isinstance(server.sessions.accept(again.authorization, "GET", "/a", lambda: digest(b"")), Signed)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_too_busy_for_a_session_is_not_taken_for_somebody_else(
    server: Server, clock: SetClock, status: int
) -> None:
    client = ClientSession([server.key], "kl3:8085", lambda sent: (status, {}), clock)

    with pytest.raises(Unavailable, match="kl3:8085 is too busy") as caught:
        client.sign("GET", "/a")

    assert not isinstance(caught.value, Unproven)


def test_a_session_that_nobody_used_for_a_day_is_forgotten(
    server: Server, client: ClientSession, clock: SetClock
) -> None:
    seals = [client.sign("GET", "/a") for _ in range(2)]
    server.sessions.accept(seals[0].authorization, "GET", "/a", lambda: digest(b""))

    clock.move(24 * 3600 + 1)

    assert server.sessions.accept(seals[1].authorization, "GET", "/a", lambda: digest(b"")) == "unknown"


def test_sessions_that_were_only_asked_for_do_not_push_out_used_ones(
    server: Server, client: ClientSession
) -> None:
    seals = [client.sign("GET", "/a") for _ in range(2)]
    server.sessions.accept(seals[0].authorization, "GET", "/a", lambda: digest(b""))

    for _ in range(UNUSED + 10):
        server.sessions.begin(server.key.key_id, as_text(os.urandom(32)))

    assert isinstance(
        server.sessions.accept(seals[1].authorization, "GET", "/a", lambda: digest(b"")), Signed
    )


def test_the_body_of_a_stranger_is_not_read(server: Server) -> None:
    header = f"Torc s={'x' * 24}, n=1, m={'y' * 43}"

    def read() -> bytes:
        raise AssertionError("read")

    assert server.sessions.accept(header, "POST", "/a", read) == "unknown"


@pytest.mark.parametrize("nonce", ["", "short", "é" * 40, as_text(bytes(31)), as_text(bytes(65)), "=" * 44])
def test_a_nonce_that_is_none_opens_no_session(server: Server, nonce: str) -> None:
    assert server.sessions.begin(server.key.key_id, nonce) is None


def test_a_runner_key_opens_a_session_of_its_workflow(server: Server, clock: SetClock) -> None:
    key = keyfile.for_workflow(server.key, 42, 3)

    seal = ClientSession([key], "a", server.post, clock).sign("GET", "/a")

    signed = server.sessions.accept(seal.authorization, "GET", "/a", lambda: digest(b""))
    assert isinstance(signed, Signed)
    assert keyfile.split_runner_id(signed.key_id) == (42, 3, server.key.key_id)


def test_a_runner_key_under_the_name_of_another_workflow_opens_none(server: Server, clock: SetClock) -> None:
    key = replace(keyfile.for_workflow(server.key, 42, 3), key_id=f"r.43.3.{server.key.key_id}")

    with pytest.raises(Unproven):
        ClientSession([key], "a", server.post, clock).sign("GET", "/a")


def test_a_rotated_key_is_good_for_another_day(tmp_path: Path, server: Server, clock: SetClock) -> None:
    old = server.key
    new = keyfile.rotated(tmp_path / "home", old.server_id, clock.now())
    ClientSession([old], "a", server.post, clock).sign("GET", "/a")
    ClientSession([new], "a", server.post, clock).sign("GET", "/a")

    clock.move(24 * 3600 + 1)

    with pytest.raises(Unproven):
        ClientSession([old], "a", server.post, clock).sign("GET", "/a")


def test_a_key_that_is_rotated_at_once_ends_its_sessions(
    tmp_path: Path, server: Server, client: ClientSession, clock: SetClock
) -> None:
    seal = client.sign("GET", "/a")

    keyfile.rotated(tmp_path / "home", server.key.server_id, clock.now(), at_once=True)

    assert server.sessions.accept(seal.authorization, "GET", "/a", lambda: digest(b"")) == "unknown"


def test_each_number_is_taken_once_by_64_threads_at_a_time() -> None:
    window = Window()
    taken: list[int] = []
    numbers = iter([number for number in range(1, WINDOW + 1) for _ in range(2)])
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            if window.take(number):
                taken.append(number)

    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == list(range(1, WINDOW + 1))


@given(st.lists(st.integers(min_value=-5, max_value=3 * 64), max_size=200))
def test_the_window_accepts_what_is_new_and_not_too_old(numbers: list[int]) -> None:
    window, seen, top = Window(64), set[int](), 0

    for number in numbers:
        expected = number >= 1 and number not in seen and number > top - 64
        assert window.take(number) == expected
        if expected:
            seen.add(number)
            top = max(top, number)


@given(st.integers(min_value=2**40, max_value=10**15 - 1))
def test_a_number_far_ahead_costs_nothing(number: int) -> None:
    window = Window()

    assert window.take(number)
    assert not window.take(number)


fields = st.lists(
    st.one_of(st.binary(max_size=20), st.text(max_size=20), st.integers(min_value=0)), max_size=5
)


@given(fields, fields)
@settings(max_examples=300)
def test_different_fields_are_different_bytes(
    one: list[bytes | str | int], other: list[bytes | str | int]
) -> None:
    def plain(values: list[bytes | str | int]) -> list[bytes]:
        return [v if isinstance(v, bytes) else str(v).encode("utf-8", "surrogateescape") for v in values]

    assert (packed(*one) == packed(*other)) == (plain(one) == plain(other))


@given(st.binary(min_size=1, max_size=200))
def test_bytes_come_back_from_their_text(data: bytes) -> None:
    assert as_bytes(as_text(data)) == data


@given(st.text(max_size=50))
def test_a_text_stands_for_bytes_in_one_way_only(text: str) -> None:
    data = as_bytes(text)

    assert data is None or as_text(data) == text


@pytest.mark.parametrize("text", ["", "01", "-1", "+1", "1 ", "٣", "1" * 16, "0x1", "1_0"])
def test_what_is_no_plain_number_is_none(text: str) -> None:
    assert as_number(text) is None


@given(st.text(max_size=120))
def test_no_header_is_an_exception(text: str) -> None:
    class Nobody(Keys):
        def __init__(self) -> None:
            self._file = KeyFile(server_id="s", key_id="k", key=bytes(32))

    told = Sessions(Nobody(), SetClock()).accept(text, "GET", "/", lambda: b"")

    assert told in {"malformed", "unknown"}


def test_a_signed_body_is_hashed_in_pieces_and_read_once_more_by_the_application(tmp_path: Path) -> None:
    """A body of 256 MiB lies in a file; hashing it must not bring it into memory."""
    pieces: list[int] = []

    class Spooled(io.FileIO):
        def read(self, size: int = -1) -> bytes:
            pieces.append(size)
            return super().read(size)

    path = tmp_path / "body"
    path.write_bytes(bytes(range(256)) * 20_000)
    with Spooled(str(path)) as body:
        found = front._digest_of_body({"CONTENT_LENGTH": str(5_120_000), "wsgi.input": body})

        assert found == digest(path.read_bytes())
        assert max(pieces) <= 1024**2
        assert body.tell() == 0
