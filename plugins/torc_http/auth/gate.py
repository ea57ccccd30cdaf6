"""Finds out who asks: a credential if there is one, else whose connection it is (`security.md` §3)."""

from __future__ import annotations

import binascii
import logging
import pwd
from base64 import b64decode
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from torc_core.errors import Invalid, NotFound
from torc_core.model import Job, JobId, Query, Result, Workflow, WorkflowId
from torc_core.protocols import Clock, Store
from torc_core.store.principal import EVERYTHING, ORDER, Principal, Right, up_to
from torc_http.auth import capability as capabilities
from torc_http.auth import texts, tokens
from torc_http.auth.audit import Audit
from torc_http.auth.browser import OwnNames, foreign_page
from torc_http.auth.keyfile import Keys, split_runner_id
from torc_http.auth.limits import Failures, Rates
from torc_http.auth.sessions import Sessions, Signed
from torc_http.auth.settings import AuthSettings
from torc_http.auth.signin import SignIns, cookie_of
from torc_http.auth.texts import Place
from torc_http.auth.verifying import Busy, Verifier
from torc_http.errors import Refused

if TYPE_CHECKING:
    from torc_http.routes import Route
    from torc_http.serving.identity import Peer

log = logging.getLogger(__name__)

CAPABILITY = "torc.capability"
"""Where the environment holds the token of `/t/<token>/…`."""

SIGNED = "torc.signed"
"""Where it holds what became of a signed request: `Signed`, or why its signature does not hold."""

PEER = "torc.peer"

PRINCIPAL = "torc.principal"
"""Where it holds who was let in."""

USER_RIGHTS = frozenset({Right.PUBLIC, Right.USER, *ORDER})

LONGEST = 2_048
"""Characters of an Authorization header."""


class Gate:
    """Admits requests to one server."""

    def __init__(
        self,
        store: Store,
        settings: AuthSettings,
        keys: Keys,
        clock: Clock,
        *,
        names: OwnNames | None = None,
        name_of: Callable[[int], str] | None = None,
    ) -> None:
        self.settings = settings
        self.keys = keys
        self.audit = Audit(store, clock)
        self.sessions = Sessions(keys, clock)
        self.sign_ins = SignIns(clock)
        self.names = names or OwnNames(settings.allow_hosts)
        self._store = store
        self._clock = clock
        self._name_of = name_of or _unix_name
        self._failures = Failures(clock)
        self._job_rates = Rates(settings.job_requests_per_s, settings.job_requests_per_s * 4, clock)
        self._user_rates = Rates(settings.user_requests_per_s, settings.user_requests_per_s * 5, clock)
        self._place = Place(
            owner=settings.owner,
            host=settings.host,
            passwords=settings.auth_file is not None,
            credentials_only=settings.mode == "credentials",
        )
        self._verifier = (
            Verifier(
                Path(settings.auth_file),
                clock,
                remember=settings.credential_cache_ttl_secs,
                shared=settings.allow_shared_permissions,
                reloaded=self._reloaded,
            )
            if settings.auth_file
            else None
        )

    @property
    def enforced(self) -> bool:
        """Whether it is asked who somebody is."""
        return self.settings.mode != "none"

    @property
    def trusts_names(self) -> bool:
        """Whether the user in a body counts, since nobody is known."""
        return not self.enforced

    def reload(self) -> int:
        """Read the password file again; how many users it has.

        Raises
        ------
        Invalid
            If there is none, or a line of it is wrong.
        """
        if self._verifier is None:
            raise Invalid("no password file is configured; start the server with --auth-file")
        return self._verifier.reload()

    def _reloaded(self, detail: str, outcome: str) -> None:
        """The password file was read again by itself."""
        self.audit.write("htpasswd_reload", "server", object="password file", detail=detail, outcome=outcome)

    def admit(self, environ: MutableMapping[str, Any], route: Route | None = None) -> Principal:
        """Who asks; for every route that is not public.

        Raises
        ------
        Refused
            400 with two credentials, 401 without one that holds, 403 from a foreign page, 429 too often.
        """
        peer: Peer = environ[PEER]
        principal = environ[PRINCIPAL] = self._known(environ, peer)
        if principal.established in {"kernel", "cookie", "open"} and peer.kind != "unix":
            host = environ.get("HTTP_HOST", "")
            if not self.names.has(host):
                raise Refused(403, texts.foreign_host(host))
        self._pace(principal)
        if route is not None:
            _check_class(principal, Right(route.access))
        self.audit.admitted(principal, _shown(peer), environ.get("torc.request_id", ""))
        return principal

    def tell_denied(self, environ: Mapping[str, Any]) -> None:
        """Write down that somebody who is known was refused."""
        principal: Principal | None = environ.get(PRINCIPAL)
        if principal is not None:
            what = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"[:200]
            self.audit.denied(principal, _shown(environ[PEER]), what, environ.get("torc.request_id", ""))

    def check_page(self, environ: Mapping[str, Any]) -> None:
        """Keep out what a page of somebody else has made a browser send (B2, B3); for public routes too.

        Raises
        ------
        Refused
            403.
        """
        foreign = foreign_page(environ)
        if foreign:
            raise Refused(403, foreign)

    # Who it is

    def _known(self, environ: Mapping[str, Any], peer: Peer) -> Principal:
        if not self.enforced:
            return self._owner("open")
        path_token: str | None = environ.get(CAPABILITY)
        header: str | None = environ.get("HTTP_AUTHORIZATION")
        cookie = cookie_of(environ.get("HTTP_COOKIE", ""), environ.get("SERVER_PORT", ""))
        if path_token is not None:
            if header is not None or cookie is not None:
                raise Refused(400, texts.TWO_CREDENTIALS)
            return self._by_token(path_token, environ)
        if header is not None:
            return self._by_header(header, environ)
        if cookie is not None:
            principal = self.sign_ins.principal(cookie)
            return principal or self._refuse(environ, "cookie", texts.SIGNED_OUT, texts.NEW_SIGN_IN)
        return self._by_kernel(peer, environ)

    def _by_kernel(self, peer: Peer, environ: Mapping[str, Any]) -> Principal:
        if self.settings.mode == "auto":
            if peer.uid is not None:
                return self._owner("kernel")
            if peer.why == "another user" and peer.other_uid and self.settings.local_users:
                name = self._name_of(peer.other_uid)
                if name in self.settings.local_users:
                    return self._user(name, "kernel")
        raise self._unauthorized(self._place.no_credential(peer), self._place.remedies())

    def _by_header(self, header: str, environ: Mapping[str, Any]) -> Principal:
        scheme, _, rest = header.strip().partition(" ")
        if len(header) <= LONGEST:
            match scheme.lower():
                case "torc":
                    return self._by_signature(environ)
                case "bearer":
                    return self._by_token(rest.strip(), environ)
                case "basic":
                    return self._by_password(rest.strip(), environ)
        return self._refuse(environ, "header", texts.UNKNOWN_SCHEME, self._place.remedies())

    def _by_signature(self, environ: Mapping[str, Any]) -> Principal:
        signed: Signed | str = environ.get(SIGNED, "malformed")
        if not isinstance(signed, Signed):
            if signed == "unknown":
                raise self._unauthorized(texts.SESSION_UNKNOWN, ())
            return self._refuse(environ, "key", texts.NOT_SIGNED, texts.NEW_KEY)
        runner = split_runner_id(signed.key_id)
        if runner is None:
            return self._owner("key")
        workflow, generation, _ = runner
        found = self._workflow(workflow)
        if found is None or found.capability_generation != generation:
            return self._refuse(environ, "key", texts.REVOKED, texts.NEW_KEY)
        return Principal(
            kind="runner", name=found.user, established="key", workflows=frozenset({found.id}),
            rights=frozenset({Right.PUBLIC, Right.READ, Right.RUN}), mark=str(workflow),
        )  # fmt: skip

    def _by_password(self, encoded: str, environ: Mapping[str, Any]) -> Principal:
        if self._verifier is None:
            raise self._unauthorized(texts.NO_PASSWORDS, self._place.remedies())
        pair = _decoded(encoded)
        if pair is None:
            return self._refuse(environ, "password", texts.WRONG_PASSWORD, texts.NEW_PASSWORD)
        user, password = pair
        peer = _shown(environ[PEER])
        if not self._verifier.known(user, password):
            self._wait(user, peer)
            try:
                right = self._verifier.verify(user, password)
            except Busy as error:
                raise Refused(429, texts.TOO_MANY_CHECKS, headers={"Retry-After": "2"}) from error
            if not right:
                return self._refuse(environ, "password", texts.WRONG_PASSWORD, texts.NEW_PASSWORD, name=user)
            self._failures.succeeded(user, peer)
        return self._user(user, "password")

    def _by_token(self, text: str, environ: Mapping[str, Any]) -> Principal:
        if tokens.looks_like(text):
            return self._by_named_token(text, environ)
        secrets = tuple(self.keys.secrets(self._clock.now()))
        found = capabilities.read(secrets, text)
        if found is None:
            return self._refuse(environ, "token", texts.WRONG_TOKEN, texts.NEW_TOKEN)
        workflow = self._workflow(found.workflow)
        if workflow is None or workflow.capability_generation != found.generation:
            return self._refuse(environ, "capability", texts.REVOKED, texts.NEW_TOKEN)
        if isinstance(found, capabilities.WorkflowCapability):
            if found.expires * 1000 <= self._clock.now():
                return self._expired(environ, f"workflow {workflow.id}")
            return Principal(
                kind="workflow", name=workflow.user, established="capability", workflows=frozenset({workflow.id}),
                rights=up_to(found.access_class) | {Right.PUBLIC}, mark=f"{workflow.id}.{found.access_class}",
            )  # fmt: skip
        if workflow.api_access == "none":
            raise self._unauthorized(texts.WITHOUT_API, ())
        if not self._attempt_lives(found):
            return self._refuse(environ, "capability", texts.ENDED, texts.NEW_TOKEN)
        rights = up_to(workflow.api_access) & {Right.READ, Right.EDIT}
        return Principal(
            kind="job", name=workflow.user, established="capability", workflows=frozenset({workflow.id}),
            rights=rights | {Right.PUBLIC}, job=JobId(found.job), run_id=found.run, attempt_id=found.attempt,
            mark=f"{found.job}.{found.run}.{found.attempt}",
        )  # fmt: skip

    def _by_named_token(self, text: str, environ: Mapping[str, Any]) -> Principal:
        token = tokens.verified(self._store, text)
        if token is None:
            return self._refuse(environ, "token", texts.WRONG_TOKEN, texts.NEW_TOKEN)
        if token.revoked_at is not None:
            return self._refuse(environ, "token", texts.REVOKED, texts.NEW_TOKEN)
        if token.expires_at is not None and token.expires_at <= self._clock.now():
            return self._expired(environ, f"token {token.key}")
        rights = up_to(token.access_class) | {Right.PUBLIC}
        if token.workflows is None and Right.OWN in rights:
            # NOTE: for all that its user has and will have: it stands for him, so that it may list and create.
            rights |= {Right.USER}
        return Principal(
            kind="token", name=token.user, established="token", rights=rights, mark=token.key,
            workflows=None if token.workflows is None else frozenset(token.workflows),
            everywhere=token.user == self.settings.owner or token.user in self.settings.admin_users,
        )  # fmt: skip

    def _attempt_lives(self, one: capabilities.JobCapability) -> bool:
        """Whether the attempt runs, or ended less than ten minutes ago."""
        try:
            job = self._store.get(Job, one.job)
        except NotFound:
            return False
        if job.workflow_id != one.workflow:
            return False
        if job.status.live and (job.run_id, job.attempt_id) == (one.run, one.attempt):
            return True
        asked = {"job_id": one.job, "run_id": one.run, "attempt_id": one.attempt}
        ended = self._store.find(Result, Query(workflow=WorkflowId(one.workflow), where=asked, limit=1)).items
        since = self._clock.now() - capabilities.AFTERWARDS_MS
        return bool(ended) and ended[0].completed_at > since

    def _workflow(self, id: int) -> Workflow | None:
        try:
            return self._store.get(Workflow, id)
        except NotFound:
            return None

    def _owner(self, how: str) -> Principal:
        return Principal(kind="owner", name=self.settings.owner, established=how, rights=EVERYTHING)

    def _user(self, name: str, how: str) -> Principal:
        admin = name in self.settings.admin_users
        return Principal(kind="user", name=name, established=how, rights=EVERYTHING if admin else USER_RIGHTS)

    # How often, and how it is refused

    def _pace(self, principal: Principal) -> None:
        if principal.kind == "job":
            seconds = self._job_rates.take((principal.job, principal.mark))
        elif principal.kind in {"user", "token", "workflow"}:
            seconds = self._user_rates.take(principal.identity)
        else:
            return
        if seconds:
            raise Refused(429, texts.TOO_OFTEN, headers={"Retry-After": str(max(1, round(seconds)))})

    def _wait(self, name: str, peer: str) -> None:
        seconds = self._failures.wait(name, peer)
        if seconds > 0:
            raise Refused(429, texts.TOO_MANY_FAILURES, headers={"Retry-After": str(int(seconds) + 1)})

    def _expired(self, environ: Mapping[str, Any], what: str) -> NoReturn:
        self.audit.write("token_expired_use", what, peer=_shown(environ[PEER]), outcome="refused")
        raise self._unauthorized(texts.EXPIRED, texts.NEW_TOKEN)

    def _refuse(
        self, environ: Mapping[str, Any], how: str, message: str, remedies: Sequence[str], name: str = ""
    ) -> NoReturn:
        """Something was presented and is wrong."""
        peer = _shown(environ[PEER])
        if name:
            # NOTE: nobody guesses keys and tokens; if they slowed, any user of a node could stop the jobs on it.
            self._failures.failed(name, peer)
        self.audit.refused(name, how, peer, message, environ.get("torc.request_id", ""))
        raise self._unauthorized(message, remedies)

    def _unauthorized(self, message: str, remedies: Sequence[str]) -> Refused:
        schemes = 'Torc, Bearer, Basic realm="torc"' if self._verifier else "Torc, Bearer"
        return Refused(401, message, headers={"WWW-Authenticate": schemes}, details={"how": list(remedies)})


def _check_class(principal: Principal, right: Right) -> None:
    """Refuse who has no name of his own; what is about a workflow is decided with it, so that it can look absent."""
    if right in {Right.USER, Right.ADMIN} and right not in principal.rights:
        needs = (
            "an admin of the server"
            if right is Right.ADMIN
            else "the name of a user; what was presented is for certain workflows only"
        )
        raise Refused(403, f"this needs {needs}")


def _decoded(encoded: str) -> tuple[str, str] | None:
    """User and password of a Basic header; bytes that are no UTF-8 stay what they are."""
    try:
        raw = b64decode(encoded.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        return None
    user, colon, password = raw.decode("utf-8", "surrogateescape").partition(":")
    return (user, password) if colon and len(user) <= 255 else None


def _shown(peer: Peer) -> str:
    if peer.kind == "unix":
        return "unix socket"
    return f"{peer.address} (uid {peer.other_uid})" if peer.other_uid is not None else peer.address


def _unix_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
