"""A server with two users' workflows, asked without sockets: whoever asks is said by the environment."""

from __future__ import annotations

import base64
import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from torc_core.model import (
    AccessGroup,
    GroupLink,
    Initialize,
    Membership,
    NewNode,
    Node,
    Offer,
    Resources,
    Turn,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.store.principal import Principal
from torc_core.testing import plans
from torc_core.testing.plugin import SetClock
from torc_http.app import create_app
from torc_http.auth import keyfile
from torc_http.auth.assembly import Security, secured
from torc_http.auth.browser import OwnNames
from torc_http.auth.capability import JobCapability, WorkflowCapability, of_attempt, written
from torc_http.auth.encoding import digest
from torc_http.auth.keyfile import KeyFile
from torc_http.auth.passwords import hashed
from torc_http.auth.session import ClientSession
from torc_http.auth.sessions import Signed
from torc_http.auth.settings import AuthSettings
from torc_http.auth.signin import cookie_name, set_cookie
from torc_http.auth.tokens import new_token
from torc_http.call import Service
from torc_http.serving.identity import Peer
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings

BASE = "/torc-service/v1"
ME = Peer(kind="tcp", address="127.0.0.1", uid=1000)
OTHER = Peer(kind="tcp", address="127.0.0.1", other_uid=4242, why="another user")
PROXIED = Peer(kind="tcp", address="127.0.0.1", why="proxied")
PASSWORDS = ("ann", "bob", "carl", "dora", "eve", "root")

remotes = itertools.count(1)


def remote() -> Peer:
    """Somebody from another host, each time another one, so that nobody waits for the failures of others."""
    number = next(remotes)
    return Peer(
        kind="tcp", address=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", why="remote"
    )


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])


@dataclass(frozen=True, kw_only=True)
class Credential:
    """How a request comes: from whom, with which headers, under which prefix; `sign` adds what depends on it."""

    peer: Callable[[], Peer] = remote
    headers: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    sign: Callable[[str, str, bytes], Mapping[str, str]] = lambda method, target, body: {}


@dataclass
class Api:
    """The application, and what stands in its store."""

    store: Store
    clock: SetClock
    security: Security
    call: Callable[..., Any]
    ours: WorkflowId = WorkflowId(0)
    theirs: WorkflowId = WorkflowId(0)

    def ask(
        self,
        method: str,
        path: str,
        credential: Credential,
        body: Any = None,
        query: str = "",
        **headers: str,
    ) -> Reply:
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        target = credential.prefix + path + (f"?{query}" if query else "")
        sent = {
            "Host": "localhost:8080",
            **credential.headers,
            **credential.sign(method, target, raw),
            **headers,
        }
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method, "PATH_INFO": credential.prefix + path, "QUERY_STRING": query,
            "REQUEST_URI": target, "SCRIPT_NAME": "", "SERVER_NAME": "localhost", "SERVER_PORT": "8080",
            "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "", "wsgi.url_scheme": "http", "wsgi.version": (1, 0),
            "wsgi.input": io.BytesIO(raw), "wsgi.errors": io.StringIO(), "wsgi.multithread": True,
            "wsgi.multiprocess": False, "wsgi.run_once": False, "CONTENT_LENGTH": str(len(raw)),
            "torc.peer": credential.peer(), "torc.request_id": "r",
        }  # fmt: skip
        if raw:
            environ["CONTENT_TYPE"] = sent.pop("Content-Type", "application/json")
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in sent.items()}
        told: list[Any] = []
        parts = self.call(environ, lambda status, headers, *why: told.append((status, headers)))
        status, given = told[-1]
        return Reply(int(status[:3]), {name.lower(): value for name, value in given}, b"".join(parts))

    def session(self, key: KeyFile) -> Callable[[str, str, bytes], Mapping[str, str]]:
        """Signs with a key."""

        def post(told: dict[str, str]) -> tuple[int, Any]:
            begun = self.security.gate.sessions.begin(told["key_id"], told["client_nonce"])
            return (200, dict(begun)) if begun else (401, {})

        client = ClientSession([key], "kl3:8085", post, self.clock)
        return lambda method, target, body: {"Authorization": client.sign(method, target, body).authorization}


def basic(user: str, password: str = "secret") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture(scope="session")
def password_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("passwords") / "users"
    hash = hashed("secret", 4)
    path.write_text("".join(f"{user}:{hash}\n" for user in PASSWORDS))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="session")
def settings(password_file: Path) -> AuthSettings:
    return AuthSettings(
        owner="alice", host="kl3", auth_file=str(password_file), admin_users=("root",), local_users=("lee",),
        user_requests_per_s=10**9, job_requests_per_s=10**9, credential_cache_ttl_secs=10**9,
    )  # fmt: skip


@pytest.fixture
def api(tmp_path: Path, clock: SetClock, settings: AuthSettings) -> Iterator[Api]:
    with closing(open_sqlite(f"sqlite://{tmp_path}/torc.db", SqliteSettings(), clock)) as store:
        yield made(store, clock, settings, tmp_path)


def made(store: Store, clock: SetClock, settings: AuthSettings, home: Path) -> Api:
    security = secured(store, settings, clock, {"HOME": str(home)}, urls=["http://kl3:8085"])
    security.gate.names = OwnNames(addresses=lambda: ["10.1.2.3"])
    security.gate._name_of = lambda uid: {4243: "lee"}.get(uid, "")
    app = create_app(security.complete(Service(store=store, clock=clock)))
    return Api(store, clock, security, security.front(app))


@pytest.fixture
def make_api() -> Callable[..., Api]:
    """Makes a server of a store, a clock, settings and a home."""
    return made


@pytest.fixture
def rooms(api: Api) -> Api:
    """A server with two workflows."""
    return furnished(api)


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, settings: AuthSettings
) -> Iterator[tuple[Api, Mapping[str, Credential]]]:
    """The same with all credentials, for a whole module: whoever changes something undoes it."""
    home = tmp_path_factory.mktemp("home")
    clock = SetClock()
    with closing(open_sqlite(f"sqlite://{home}/torc.db", SqliteSettings(), clock)) as store:
        api = furnished(made(store, clock, settings, home))
        yield api, issued(api)


def furnished(api: Api) -> Api:
    """Workflow 1 of ann, linked to group `team` of bob and carl and to `readers` of dora; workflow 2 of eve."""
    store = api.store
    for user in ("ann", "eve"):
        store.initialize(store.create(plans.fan(3), user).id, Initialize())
    api.ours, api.theirs = WorkflowId(1), WorkflowId(2)
    team, readers = store.add([AccessGroup(name="team"), AccessGroup(name="readers")])
    store.add(
        [
            Membership(group_id=team.id, user_name="bob"),
            Membership(group_id=team.id, user_name="carl", role="admin"),
            Membership(group_id=readers.id, user_name="dora"),
            GroupLink(workflow_id=api.ours, group_id=team.id),
            GroupLink(workflow_id=api.ours, group_id=readers.id, level="read"),
        ]
    )
    return api


def node_of(store: Store, workflow: WorkflowId) -> Node:
    """A runner of a workflow."""
    return store.join(
        NewNode(
            workflow_id=workflow,
            epoch=f"epoch{workflow}",
            hostname="n1",
            pid=1,
            boot_id="b",
            process_start=1,
            capacity=Resources(cpus=1, memory=2**33),
        )
    )


@pytest.fixture
def credentials(rooms: Api) -> Mapping[str, Credential]:
    """Every kind of credential."""
    return issued(rooms)


def issued(api: Api) -> Mapping[str, Credential]:
    """Every kind of credential, by the name it has in `routes.toml`."""
    store, now = api.store, api.clock.now()
    key = api.security.key
    attempts = {}
    for workflow in (api.ours, api.theirs):
        node = node_of(store, workflow)
        offer = Offer(claim_id=f"claim{workflow}", free=[node.capacity], limit=1)
        attempts[workflow] = store.turn(Turn(node=node.id, epoch=node.epoch, offer=offer)).jobs[0]
    job = attempts[api.ours].job

    def path(text: str | None) -> Credential:
        return Credential(prefix=f"/t/{text}")

    def derived(workflow: WorkflowId, level: Any = "operate", expires: int = 60, generation: int = 0) -> str:
        claim = WorkflowCapability(
            workflow=workflow, access_class=level, expires=now // 1000 + expires, generation=generation
        )
        return written(key.key, claim)

    def token(user: str, level: str, workflows: Any, lasts_ms: int = 60_000, **changes: Any) -> Credential:
        made = new_token(user, now, workflows=workflows, access_class=level, lasts_ms=lasts_ms)
        (kept,) = store.add([made.kept])
        if changes:
            store.change(type(kept), kept.id, changes)
        return Credential(headers=bearer(made.text))

    def runner(workflow: WorkflowId, generation: int = 0) -> Credential:
        return Credential(sign=api.session(keyfile.for_workflow(key, workflow, generation)))

    owner = Principal(
        kind="owner", name="alice", established="cookie", rights=api.security.gate._owner("key").rights
    )
    sign_ins = api.security.gate.sign_ins
    cookie = sign_ins.cookie(sign_ins.code(owner)) or ""
    gone = JobCapability(
        workflow=api.ours, job=job.id, run=job.run_id, attempt=job.attempt_id + 1, generation=0
    )
    old = replace(gone, attempt=job.attempt_id, generation=7)
    signed = api.session(key)
    spent = signed("GET", f"{BASE}/workflows/1", b"")
    assert set_cookie(8080, cookie, secure=False).startswith(f"{cookie_name(8080)}={cookie};")
    accept = api.security.gate.sessions.accept
    taken = accept(spent["Authorization"], "GET", f"{BASE}/workflows/1", lambda: digest(b""))
    assert isinstance(taken, Signed)
    return {
        "nobody": Credential(),
        "another user of the host": Credential(peer=lambda: OTHER),
        "a proxy": Credential(peer=lambda: PROXIED),
        "a wrong password": Credential(headers=basic("ann", "wrong")),
        "a user who is not there": Credential(headers=basic("zoe")),
        "a token that nobody made": Credential(headers=bearer(new_token("ann", now, workflows=None).text)),
        "an expired token": token("ann", "own", [api.ours], lasts_ms=0),
        "a revoked token": token("ann", "own", [api.ours], revoked_at=now),
        "a capability of another secret": path(of_attempt(bytes(32), attempts[api.ours])),
        "an expired workflow capability": path(derived(api.ours, expires=0)),
        "a capability of an old generation": path(written(key.key, old)),
        "a job capability of an attempt that is over": path(written(key.key, gone)),
        "a runner key of an old generation": runner(api.ours, generation=7),
        "a replayed request": Credential(headers=spent),
        "a cookie that nobody has": Credential(headers={"Cookie": "torc_8080=x"}),
        "another user": Credential(headers=basic("eve")),
        "a member": Credential(headers=basic("bob")),
        "a member who may read": Credential(headers=basic("dora")),
        "an admin of the group": Credential(headers=basic("carl")),
        "the owner of the workflow": Credential(headers=basic("ann")),
        "an admin of the server": Credential(headers=basic("root")),
        "the owner of the server, by the kernel": Credential(peer=lambda: ME),
        "the owner of the server, by the key": Credential(sign=api.session(key)),
        "the owner of the server, by a cookie": Credential(headers={"Cookie": f"torc_8080={cookie}"}),
        "a job capability": path(of_attempt(key.key, attempts[api.ours])),
        "a job capability of a foreign workflow": path(of_attempt(key.key, attempts[api.theirs])),
        "a workflow capability to operate": path(derived(api.ours)),
        "a workflow capability of a foreign workflow": path(derived(api.theirs)),
        "a runner key": runner(api.ours),
        "a runner key of a foreign workflow": runner(api.theirs),
        "a token to read": token("ann", "read", [api.ours]),
        "a token to own, of a member": token("bob", "own", [api.ours]),
        "a token for all workflows of the owner": token("ann", "own", None),
        "a token of another user": token("eve", "own", [api.ours]),
    }
