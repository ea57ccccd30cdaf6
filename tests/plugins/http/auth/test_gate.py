"""Who is let in, who is not, and what he is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from torc_core.config.server import ServerKeys
from torc_core.errors import UsageError
from torc_core.model import AuditEntry, Ending, Job, JobStatus, Query, Workflow
from torc_core.testing.plugin import SetClock
from torc_http.auth.capability import JobCapability, written
from torc_http.auth.keyfile import rotated
from torc_http.auth.settings import AuthSettings, settled
from torc_http.serving.identity import Peer
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings

BASE = "/torc-service/v1"
ME = Peer(kind="tcp", address="127.0.0.1", uid=1000)

Ask = Callable[..., Any]


@pytest.fixture
def by(credentials: Mapping[str, Any]) -> Mapping[str, Any]:
    return credentials


def get(api: Any, credential: Any, path: str = "/workflows/1", **headers: str) -> Any:
    return api.ask("GET", BASE + path, credential, **headers)


def peer(credential: Any, **fields: Any) -> Any:
    return replace(credential, peer=lambda: Peer(**{"kind": "tcp", "address": "127.0.0.1", **fields}))


# What is said to who stays outside (S12)


@pytest.mark.parametrize(
    ("fields", "ends"),
    [
        ({"address": "10.1.2.3", "why": "remote"}, "and yours comes from 10.1.2.3"),
        ({"other_uid": 4242, "why": "another user"}, "and yours is run by another user (uid 4242)"),
        (
            {"why": "half-closed"},
            "has closed its half of the connection, so that the kernel does not tell whose it is",
        ),
        ({"why": "proxied"}, "and yours comes through a proxy, which may speak for anybody"),
        ({"why": "unknown"}, "and yours is not known to the kernel as one of them"),
    ],
)
def test_without_a_credential_one_is_told_who_may_and_why_not_this_one(
    world: Any, fields: dict[str, Any], ends: str
) -> None:
    rooms, by = world
    reply = get(rooms, peer(by["nobody"], **fields))

    assert reply.status == 401
    assert reply.message.startswith(
        "no credential: this server accepts requests without one only from programs of user 'alice' on host kl3, and yours "
    )
    assert reply.message.endswith(ends)
    assert reply.body["error"]["how"] == [
        "use torc on a host that sees alice's home directory: it finds the key file by itself",
        "on kl3: torc-server token new --workflow ID, then set TORC_API_URL to the address it prints",
        "send a name and password that this server knows",
    ]
    assert reply.headers["www-authenticate"] == 'Torc, Bearer, Basic realm="torc"'


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a wrong password", "wrong user name or password"),
        ("a user who is not there", "wrong user name or password"),
        ("a token that nobody made", "wrong token: this server has made no such token"),
        ("a capability of another secret", "wrong token: this server has made no such token"),
        ("an expired token", "the token has expired"),
        ("an expired workflow capability", "the token has expired"),
        ("a revoked token", "the token has been revoked"),
        ("a capability of an old generation", "the token has been revoked"),
        ("a runner key of an old generation", "the token has been revoked"),
        (
            "a job capability of an attempt that is over",
            "the token belongs to an attempt of a job that is over",
        ),
        ("a replayed request", "the signature of the request does not hold, or it was used before"),
        ("a cookie that nobody has", "the sign-in is over"),
    ],
)
def test_each_wrong_credential_has_its_text(world: Any, name: str, message: str) -> None:
    rooms, by = world
    reply = get(rooms, by[name])

    assert (reply.status, reply.message) == (401, message)
    assert reply.body["error"]["how"]
    assert "www-authenticate" in reply.headers


def test_an_unknown_session_is_told_so_that_the_client_makes_a_new_one(rooms: Any, by: Any) -> None:
    header = {"Authorization": f"Torc s={'x' * 24}, n=1, m={'y' * 43}"}

    reply = get(rooms, replace(by["nobody"], headers=header))

    assert (reply.status, reply.message.partition(":")[0]) == (401, "session_unknown")


@pytest.mark.parametrize(
    "header",
    ["", "x", "Digest a", "Basic", "Basic !", "Basic Og==", "Bearer", "Bearer é", "Torc", "Torc s=1", "Basic " + "A" * 9000, "Bearer " + "j." * 500, "Bearer torc_0123456789ab_" + "x" * 43, "\udcff"],
)  # fmt: skip
def test_a_wrong_header_is_never_overlooked(world: Any, header: str) -> None:
    """S1: what is presented and wrong is 401, also from who would have been let in without it."""
    rooms, by = world
    wrong = replace(by["the owner of the server, by the kernel"], headers={"Authorization": header})

    assert get(rooms, wrong).status == 401


def test_a_wrong_cookie_and_a_wrong_path_are_never_overlooked(world: Any) -> None:
    rooms, by = world
    owner = by["the owner of the server, by the kernel"]

    assert get(rooms, replace(owner, headers={"Cookie": "torc_8080=wrong"})).status == 401
    assert get(rooms, replace(owner, prefix="/t/wrong")).status == 401
    assert get(rooms, replace(owner, headers={"Cookie": "torc_9090=of_another_port"})).status == 200


def test_a_token_in_the_path_takes_nothing_beside_it(world: Any) -> None:
    rooms, by = world
    token = by["a job capability"]

    for headers in (by["the owner of the workflow"].headers, {"Cookie": "torc_8080=x"}):
        assert get(rooms, replace(token, headers=headers)).status == 400


@pytest.mark.parametrize(
    "path", ["", "/", "/x", "/torc-service", "/torc-service/v2/workflows/1", "//torc-service/v1/workflows/1"]
)
def test_below_a_token_there_is_the_base_path_and_nothing_else(world: Any, path: str) -> None:
    rooms, by = world
    assert rooms.ask("GET", path, by["a job capability"]).status == 404


# What is open


def test_the_public_routes_are_open_and_exact(world: Any) -> None:
    """S3: no path that only looks like a public one."""
    rooms, by = world
    nobody = by["nobody"]

    assert get(rooms, nobody, "/ping").status == get(rooms, nobody, "/version").status == 200
    for path in (
        "/ping/workflows", "/workflows/ping", "/ping/../workflows", "/ping;/../workflows/1", "/ping/", "/PING", "/version/x",
        "/workflows/1?x=/ping", "/ping%2f..%2fworkflows", "/health", "/workflows/health", "//workflows", "/./workflows",
    ):  # fmt: skip
        assert get(rooms, nobody, path).status in {401, 404}, path


def test_a_wrong_credential_does_not_close_what_is_public(rooms: Any, by: Any) -> None:
    assert get(rooms, by["a wrong password"], "/ping").status == 200


# Modes


@pytest.fixture
def server(tmp_path: Path, clock: SetClock, make_api: Any) -> Any:
    """Makes a server with other settings."""
    opened = []

    def make(settings: AuthSettings) -> Any:
        store = open_sqlite(f"sqlite://{tmp_path}/{len(opened)}.db", SqliteSettings(), clock)
        opened.append(store)
        return make_api(store, clock, settings, tmp_path)

    yield make
    for store in opened:
        store.close()


PLAIN = AuthSettings(owner="alice", host="kl3")


def test_a_password_file_does_not_let_those_in_who_bring_nothing(rooms: Any, by: Any) -> None:
    assert get(rooms, by["nobody"]).status == 401


def test_in_mode_credentials_the_kernel_lets_nobody_in(server: Any, by: Any) -> None:
    api = server(replace(PLAIN, mode="credentials"))

    reply = get(api, by["the owner of the server, by the kernel"], "/workflows")

    assert reply.status == 401
    assert "this server asks everybody for one, on its own host too" in reply.message
    assert reply.headers["www-authenticate"] == "Torc, Bearer"


def test_in_mode_none_everybody_is_the_owner(server: Any, by: Any) -> None:
    api = server(replace(PLAIN, mode="none"))

    for name in ("nobody", "a wrong password", "another user of the host"):
        assert get(api, by[name], "/workflows").status == 200
    assert not api.security.gate.enforced
    assert "WARNING" in api.security.started(["0.0.0.0:8080"], "1")
    assert api.security.started(["0.0.0.0:8080"], "1").count("\n") == 2
    assert "auth_none" in operations(api)


def test_a_further_local_user_comes_in_under_his_own_name(rooms: Any, by: Any) -> None:
    """K9."""
    lee = peer(by["nobody"], other_uid=4243, why="another user")

    assert get(rooms, lee, "/workflows").body["items"] == []
    assert get(rooms, lee).status == 404
    assert rooms.ask("POST", f"{BASE}/workflows", lee, {"name": "w", "user": "ann"}).body["user"] == "lee"


def test_root_has_no_kernel_identity() -> None:
    """K5."""
    root = settled(ServerKeys(), owner="root", host="kl3", real_root=lambda: True)

    assert root.mode == "credentials"
    assert settled(ServerKeys(), owner="a", host="kl3", real_root=lambda: False).mode == "auto"


@pytest.mark.parametrize(
    ("keys", "more", "mode"),
    [
        ({}, {}, "auto"),
        ({"require_auth": True}, {}, "credentials"),
        ({}, {"insecure_no_auth": True}, "none"),
        ({"auth": "credentials"}, {"auth_is_default": False}, "credentials"),
        ({"auth": "none"}, {"auth_is_default": False, "insecure_no_auth": True}, "none"),
        ({"auth_file": "users"}, {}, "auto"),
    ],
)
def test_options_come_to_a_mode(keys: dict[str, Any], more: dict[str, Any], mode: str) -> None:
    assert settled(ServerKeys(**keys), owner="a", host="h", real_root=lambda: False, **more).mode == mode


@pytest.mark.parametrize(
    ("keys", "more"),
    [
        ({"require_auth": True}, {"insecure_no_auth": True}),
        ({"auth": "auto", "require_auth": True}, {"auth_is_default": False}),
        ({"auth": "none", "auth_file": "users"}, {"auth_is_default": False}),
        ({"enforce_access_control": True}, {"insecure_no_auth": True}),
        ({"auth": "maybe"}, {}),
    ],
)
def test_options_that_contradict_each_other_are_refused(keys: dict[str, Any], more: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        settled(ServerKeys(**keys), owner="a", host="h", real_root=lambda: False, **more)


# Pages of others (§6)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8081"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
        {"Host": "evil.example:8080"},
        {"Host": "evil.example:8080", "Origin": "http://evil.example:8080", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_a_foreign_page_changes_nothing_and_learns_nothing(
    world: Any, method: str, headers: dict[str, str]
) -> None:
    rooms, by = world
    before = rooms.store.get(Workflow, 1)

    for path in ("/workflows/1", "/workflows", "/workflows/1/cancel"):
        reply = rooms.ask(method, BASE + path, by["the owner of the server, by the kernel"], {}, **headers)
        assert reply.status in {403, 405}
        assert b"planned" not in reply.raw
    assert rooms.store.get(Workflow, 1) == before


def test_a_cookie_needs_our_own_name_too(rooms: Any, by: Any) -> None:
    owner = by["the owner of the server, by a cookie"]

    assert get(rooms, owner).status == 200
    reply = get(rooms, owner, Host="evil.example")
    assert (reply.status, "--allow-host evil.example" in reply.message) == (403, True)


def test_with_a_credential_any_name_will_do(world: Any) -> None:
    """Tunnels and proxies change the name; a page cannot supply the credential."""
    rooms, by = world
    for name in ("a job capability", "the owner of the workflow", "the owner of the server, by the key"):
        assert get(rooms, by[name], Host="gateway.example:443").status == 200


def test_public_routes_are_closed_to_pages_as_well(rooms: Any, by: Any) -> None:
    assert get(rooms, by["nobody"], "/ping", Origin="http://evil.example").status == 403


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_forms_are_no_json(world: Any, kind: str) -> None:
    rooms, by = world
    owner = by["the owner of the server, by the kernel"]

    reply = rooms.ask(
        "POST", f"{BASE}/workflows", owner, {"name": "w", "user": "x"}, **{"Content-Type": kind}
    )

    assert reply.status == 415


def test_no_answer_invites_other_pages(world: Any) -> None:
    rooms, by = world
    for method in ("GET", "OPTIONS", "HEAD"):
        for name in ("nobody", "the owner of the server, by the kernel"):
            reply = rooms.ask(method, f"{BASE}/workflows", by[name])
            assert not [header for header in reply.headers if header.startswith("access-control")]
    assert (
        rooms.ask("OPTIONS", f"{BASE}/workflows", by["the owner of the server, by the kernel"]).status == 405
    )


def test_nothing_is_kept_by_browsers(rooms: Any, by: Any) -> None:
    headers = get(rooms, by["the owner of the server, by the kernel"]).headers

    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


# Answers that prove the key


def test_answers_to_signed_requests_are_proven_also_refusals(rooms: Any, by: Any) -> None:
    owner = by["the owner of the server, by the key"]

    for path in ("/workflows/1", "/workflows/1000000", "/nowhere"):
        assert get(rooms, owner, path).headers["torc-proof"]
    assert "torc-proof" not in get(rooms, by["the owner of the workflow"]).headers


def test_a_rotated_key_is_used_at_once(rooms: Any, by: Any, tmp_path: Path) -> None:
    folder = rooms.security.key_file.parent
    runner = by["a runner key"]
    assert get(rooms, runner).status == 200

    rotated(folder, rooms.security.key.server_id, rooms.clock.now(), at_once=True)

    assert get(rooms, runner).status == 401
    assert get(rooms, by["a job capability"]).status == 401


# The life of tokens (check 10)


def test_a_job_capability_lives_ten_minutes_longer_than_its_attempt(rooms: Any, by: Any) -> None:
    capability = by["a job capability"]
    job = next(
        one for one in rooms.store.find(Job, Query(workflow=1)).items if one.status is JobStatus.RUNNING
    )
    rooms.store.finish(
        rooms.ours,
        [
            Ending(
                job=job.id,
                run_id=1,
                attempt_id=job.attempt_id,
                lease=None,
                status=JobStatus.COMPLETED,
                return_code=0,
            )
        ],
    )

    assert get(rooms, capability).status == 200
    rooms.clock.move(10 * 60 - 1)
    assert get(rooms, capability).status == 200
    rooms.clock.move(2)
    assert get(rooms, capability).status == 401


def test_raising_the_generation_ends_all_capabilities_of_a_workflow(rooms: Any, by: Any) -> None:
    names = ("a job capability", "a workflow capability to operate", "a runner key")
    others = ("a job capability of a foreign workflow", "a token to read", "the owner of the workflow")

    reply = rooms.ask(
        "POST", f"{BASE}/x/workflows/1/capabilities", by["the owner of the workflow"], {"revoke": True}
    )

    assert reply.body == {"workflow_id": 1, "generation": 1}
    assert [get(rooms, by[name]).status for name in names] == [401, 401, 401]
    assert 401 not in [get(rooms, by[name]).status for name in others]
    assert "capability_revoked" in operations(rooms)


@pytest.mark.parametrize(
    ("access", "reads", "edits"), [("none", 401, 401), ("read", 200, 403), ("edit", 200, 200)]
)
def test_a_workflow_says_what_its_jobs_may_do(
    rooms: Any, by: Any, access: str, reads: int, edits: int
) -> None:
    """O3."""
    rooms.store.change(Workflow, 1, {"api_access": access})
    capability, file = by["a job capability"], {"workflow_id": 1, "name": "f", "path": "f"}

    assert get(rooms, capability).status == reads
    assert rooms.ask("POST", f"{BASE}/files", capability, file).status == edits


def test_a_token_is_made_used_listed_and_revoked(rooms: Any, by: Any) -> None:
    ann = by["the owner of the workflow"]
    made = rooms.ask("POST", f"{BASE}/x/tokens", ann, {"workflows": [1], "access_class": "run"}).body
    bearer = replace(by["nobody"], headers={"Authorization": f"Bearer {made['token']}"})
    path = replace(by["nobody"], prefix=f"/t/{made['token']}")

    listed = rooms.ask("GET", f"{BASE}/x/tokens", ann).body["items"]
    assert [get(rooms, one).status for one in (bearer, path)] == [200, 200]
    assert made["id"] in [one["id"] for one in listed]
    assert made["token"].split("_")[-1] not in str(listed)
    assert get(rooms, bearer, "/workflows/2").status == 404
    assert rooms.ask("DELETE", f"{BASE}/x/tokens/{made['id']}", by["another user"]).status == 404
    assert rooms.ask("DELETE", f"{BASE}/x/tokens/{made['id']}", ann).status == 200
    assert [get(rooms, one).status for one in (bearer, path)] == [401, 401]


def test_a_token_ends_in_time(rooms: Any, by: Any) -> None:
    ann = by["the owner of the workflow"]
    made = rooms.ask("POST", f"{BASE}/x/tokens", ann, {"workflows": [1], "expires_s": 60}).body
    bearer = replace(by["nobody"], headers={"Authorization": f"Bearer {made['token']}"})
    assert get(rooms, bearer).status == 200

    rooms.clock.move(60)

    assert get(rooms, bearer).status == 401
    assert "token_expired_use" in operations(rooms)


def test_nobody_makes_a_token_for_what_he_may_not_do(rooms: Any, by: Any) -> None:
    def status(name: str, **body: Any) -> int:
        return int(rooms.ask("POST", f"{BASE}/x/tokens", by[name], body).status)

    assert status("another user", workflows=[1]) == 404
    assert status("a member", workflows=[1], access_class="own") == 403
    assert status("a member", workflows=[1], access_class="operate") == 200
    assert status("a member", workflows=[1], user="ann") == 403
    assert status("an admin of the server", workflows=[1], user="ann") == 200
    assert status("a member") == 422
    assert status("a member", workflows=[]) == 422
    assert status("a member", all_workflows=True) == 200


def test_a_derived_token_is_made_by_the_owner(rooms: Any, by: Any) -> None:
    made = rooms.ask(
        "POST",
        f"{BASE}/x/workflows/1/capabilities",
        by["the owner of the workflow"],
        {"access_class": "read"},
    ).body
    path = replace(by["nobody"], prefix=made["path"].removesuffix(BASE))

    assert get(rooms, path).status == 200
    assert rooms.ask("PUT", f"{BASE}/workflows/1/cancel", path).status == 403
    assert rooms.ask("POST", f"{BASE}/x/workflows/1/capabilities", by["a member"], {}).status == 403


def test_a_capability_of_a_job_that_is_not_there_is_over(rooms: Any, by: Any) -> None:
    text = written(rooms.security.key.key, JobCapability(workflow=1, job=999, run=1, attempt=1, generation=0))

    assert get(rooms, replace(by["nobody"], prefix=f"/t/{text}")).status == 401


def test_a_job_of_another_workflow_gives_no_way_into_this_one(rooms: Any, by: Any) -> None:
    theirs = rooms.store.find(Job, Query(workflow=2)).items[0]
    claim = JobCapability(workflow=1, job=theirs.id, run=1, attempt=theirs.attempt_id, generation=0)
    text = written(rooms.security.key.key, claim)

    assert get(rooms, replace(by["nobody"], prefix=f"/t/{text}")).status == 401


def test_what_one_token_was_answered_no_other_one_is(rooms: Any, by: Any) -> None:
    """Answers are kept for repeated calls, but not for others of the same user."""
    file = {"workflow_id": 1, "name": "f", "path": "secret"}
    made = rooms.ask("POST", f"{BASE}/files", by["a job capability"], file, **{"Idempotency-Key": "k"})
    path = f"{BASE}/files/{made.body['id']}"

    first = rooms.ask("DELETE", path, by["a job capability"])
    again = rooms.ask("DELETE", path, by["a job capability"])
    other = rooms.ask("DELETE", path, by["a job capability of a foreign workflow"])
    foreign = rooms.ask(
        "POST",
        f"{BASE}/files",
        by["a workflow capability of a foreign workflow"],
        file,
        **{"Idempotency-Key": "k"},
    )

    assert (first.status, again.status) == (200, 200)
    assert (other.status, foreign.status) == (404, 404)
    assert b"secret" not in other.raw + foreign.raw


# How often


def test_who_guesses_is_slowed_and_nobody_else(server: Any, by: Any, password_file: Path) -> None:
    api = server(replace(PLAIN, auth_file=str(password_file)))
    guess = peer(by["a wrong password"], address="10.9.9.9", why="remote")
    right = peer(by["the owner of the workflow"], address="10.9.9.9", why="remote")
    known = peer(by["a member"], address="10.9.9.9", why="remote")
    assert get(api, known, "/workflows").status == 200

    statuses = [get(api, guess, "/workflows").status for _ in range(8)]
    slowed = get(api, right, "/workflows")

    assert statuses == [401] * 5 + [429] * 3
    assert (slowed.status, slowed.headers["retry-after"]) == (429, "2")
    assert get(api, known, "/workflows").status == 200
    assert get(api, by["the owner of the server, by the kernel"], "/workflows").status == 200
    api.clock.move(2)
    assert get(api, right, "/workflows").status == 200


def test_wrong_tokens_slow_nobody(rooms: Any, by: Any) -> None:
    """They cannot be guessed; and whoever sends them may share the address with jobs."""
    wrong, right = (
        peer(by[name], address="10.9.9.9", why="remote")
        for name in ("a token that nobody made", "a job capability")
    )

    statuses = [get(rooms, wrong).status for _ in range(100)]

    assert {*statuses} == {401}
    assert get(rooms, right).status == 200


def test_a_job_may_ask_fifty_times_a_second(server: Any, rooms: Any, by: Any) -> None:
    gate = rooms.security.gate
    gate._job_rates = type(gate._job_rates)(50, 200, rooms.clock)
    capability = by["a job capability"]

    statuses = [get(rooms, capability).status for _ in range(205)]

    assert statuses == [200] * 200 + [429] * 5
    assert get(rooms, by["a job capability of a foreign workflow"], "/workflows/2").status == 200
    rooms.clock.move(1)
    assert get(rooms, capability).status == 200


# What is written down (§11)


def operations(api: Any) -> list[str]:
    return [one.operation for one in api.store.find(AuditEntry, Query()).items]


def test_matters_of_security_are_written_down(rooms: Any, by: Any) -> None:
    rooms.security.started(["127.0.0.1:8080"], "1")
    get(rooms, by["the owner of the workflow"])
    get(rooms, by["the owner of the workflow"])
    get(rooms, by["a wrong password"])

    found = rooms.store.find(AuditEntry, Query()).items

    assert [one.operation for one in found] == ["server_start", "login_ok", "login_failed"]
    assert [(one.principal, one.established) for one in found[1:]] == [("user:ann", "password"), ("ann", "")]
    assert found[2].outcome == "refused"
    assert "wrong user name or password" in found[2].detail


def test_what_is_denied_is_written_down(rooms: Any, by: Any) -> None:
    rooms.ask("PUT", f"{BASE}/workflows/1/cancel", by["a member who may read"])
    rooms.ask("PUT", f"{BASE}/workflows/1/cancel", by["a runner key"])

    found = [one for one in rooms.store.find(AuditEntry, Query()).items if one.operation == "denied"]

    assert [(one.principal, one.object) for one in found] == [
        ("user:dora", "PUT /torc-service/v1/workflows/1/cancel"),
        ("runner:ann:1", "PUT /torc-service/v1/workflows/1/cancel"),
    ]


def test_a_flood_of_failures_is_counted_and_not_written_down(rooms: Any, by: Any) -> None:
    for _ in range(500):
        get(rooms, by["a token that nobody made"])

    assert len(operations(rooms)) <= 60


def test_the_audit_is_for_admins_and_only_grows(rooms: Any, by: Any) -> None:
    rooms.security.started(["x"], "1")
    admin = by["an admin of the server"]

    listed = rooms.ask("GET", f"{BASE}/x/audit", admin).body["items"]

    assert listed[0]["operation"] == "server_start"
    assert rooms.ask("GET", f"{BASE}/x/audit", by["the owner of the workflow"]).status == 403
    assert rooms.ask("DELETE", f"{BASE}/x/audit", admin).status == 405
    assert rooms.security.audit.gaps() == []


def test_no_secret_is_in_the_audit(rooms: Any, by: Any) -> None:
    for credential in by.values():
        get(rooms, credential)
    text = str(rooms.store.find(AuditEntry, Query()).items)

    for credential in by.values():
        for secret in (credential.prefix.removeprefix("/t/"), *credential.headers.values()):
            assert not secret or secret[-20:] not in text


def test_reloading_tells_the_line_that_is_wrong(
    server: Any, by: Any, tmp_path: Path, password_file: Path
) -> None:
    mine = tmp_path / "users"
    mine.write_text(password_file.read_text())
    mine.chmod(0o600)
    api = server(replace(PLAIN, auth_file=str(mine)))
    owner = by["the owner of the server, by the kernel"]
    assert api.ask("POST", f"{BASE}/admin/reload-auth", owner).body["user_count"] == 6

    mine.write_text("ann:secret\n")
    reply = api.ask("POST", f"{BASE}/admin/reload-auth", owner)

    assert (reply.status, "line 1" in reply.message) == (422, True)
    assert get(api, by["the owner of the workflow"], "/workflows").status == 200
