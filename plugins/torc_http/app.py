"""The REST application: routes become Falcon resources, and every request takes the same path through them."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import falcon

from torc_core import __version__
from torc_core.errors import NotFound, Unavailable
from torc_core.model import KEPT_FOR
from torc_core.store.patience import WRITER_PATIENCE
from torc_http import errors
from torc_http.accesslog import PRINCIPAL, ROUTE
from torc_http.auditing import Audited
from torc_http.call import NOBODY, Answer, Call, Principal, Service
from torc_http.collecting import uncollected
from torc_http.counting import Counts
from torc_http.errors import Refused
from torc_http.growth import Growing
from torc_http.keeping import REPEATED_WITHIN, Answers, Sent, once
from torc_http.reading import Turnstile, body_of, checked_body, generation_of, ids_of, parsed, query_of
from torc_http.routes import BASE, SIZES, Route, all_routes, checked
from torc_http.shares import Shares
from torc_http.wire.values import told

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from torc_core.protocols import Store

log = logging.getLogger(__name__)

CAPABILITY = "torc.capability"
"""Where the environment of a request holds the token of `/t/<token>/…` (`security.md` O2)."""

HOLD = "torc.hold"
"""Where it holds the way to answer later."""

DESK = "torc.desk"
"""Where the environment of a request holds the desk that serves it."""

LONG_FOR, SHORT = {"POST": 20.0}, 5.0
"""Seconds that a request waits for its turn to write: nobody repeats a POST by itself (`wire.md` T7)."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT")
HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Torc-Version", __version__),
)
"""What every answer carries."""


class Resource:
    """All methods of one path."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        allowed = sorted(routes)
        for method in METHODS:
            responder = _responder(routes[method]) if method in routes else _refusal(allowed)
            setattr(self, f"on_{method.lower()}", responder)


def _responder(route: Route) -> Callable[..., None]:
    def respond(req: falcon.Request, resp: falcon.Response, **params: str) -> None:
        desk: Desk = req.env[DESK]
        desk.serve(route, req, resp, params)

    return respond


def _refusal(allowed: Sequence[str]) -> Callable[..., None]:
    def refuse(req: falcon.Request, resp: falcon.Response, **params: str) -> None:
        raise Refused(
            405,
            f"{req.method} is not possible here; this path takes {', '.join(allowed)}",
            headers={"Allow": ", ".join(allowed)},
        )

    return refuse


class Desk:
    """Serves one request after the other: admit, read, do, answer."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.sizes = {**SIZES, **(service.sizes or {})}
        self._deletes = Answers(service.clock, REPEATED_WITHIN)
        self._secrets = Answers(service.clock, KEPT_FOR / 1000)
        self._bulk = Turnstile()
        self._shares = Shares()

    def serve(
        self, route: Route, req: falcon.Request, resp: falcon.Response, params: Mapping[str, str]
    ) -> None:
        """Answer a request.

        Raises
        ------
        TorcError
            What was wrong; `errors` tells it to the client.
        """
        environ = req.env
        environ[ROUTE] = route
        principal = self._principal(environ, route)
        size = int(environ.get("CONTENT_LENGTH") or 0)
        with self._shares.one(route, size, environ.get("torc.service")):
            raw = body_of(environ, route, self.sizes[route.size])
            with uncollected(len(raw)):
                self._serve(route, req, resp, params, principal, raw)

    def _principal(self, environ: WSGIEnvironment, route: Route) -> Principal:
        if route.access == "public":
            return NOBODY
        known = None if route.knows is None else route.knows(environ, self.service)
        principal = environ[PRINCIPAL] = known or self.service.gate.admit(environ, route)
        return principal

    def _serve(
        self,
        route: Route,
        req: falcon.Request,
        resp: falcon.Response,
        params: Mapping[str, str],
        principal: Principal,
        raw: bytes,
    ) -> None:
        environ, service = req.env, self.service
        verb = route.group == "store"
        if route.size == "bulk":
            with self._bulk.one():
                body = checked_body(route, parsed(raw, verb=verb))
        else:
            body = checked_body(route, parsed(raw, verb=verb)) if route.body is not None else None
        call = Call(
            service=service,
            route=route,
            store=service.store,
            principal=principal,
            ids=ids_of(route, params),
            query=query_of(route, environ.get("QUERY_STRING", "")),
            body=body,
            generation=generation_of(environ.get("HTTP_USER_AGENT", "")),
            peer=environ.get("REMOTE_ADDR", ""),
            request_id=environ["torc.request_id"],
            environ=environ,
        )
        audits: list[Audited] = []
        patience = WRITER_PATIENCE.set(LONG_FOR.get(route.method, SHORT))
        try:
            try:
                self._do(call, audits, req, resp, raw)
            finally:
                for one in audits:
                    one.close_audit()
        finally:
            WRITER_PATIENCE.reset(patience)

    def _do(
        self, call: Call, audits: list[Audited], req: falcon.Request, resp: falcon.Response, raw: bytes
    ) -> None:
        route, environ, service = call.route, call.environ, call.service
        if route.access != "public" and route.method != "DELETE":
            call = _guarded(call, audits)
        key = environ.get("HTTP_IDEMPOTENCY_KEY") if route.method == "POST" else None
        if key is not None:
            target = f"POST {req.path}?{environ.get('QUERY_STRING', '')}"
            # NOTE: an answer that comes later could not be kept in the transaction of what it tells.
            call = replace(call, environ={name: value for name, value in environ.items() if name != HOLD})
            secrets = self._secrets if route.secret else None
            sent = once(service.store, call.identity, target, key, raw, lambda: _sent(_done(call)), secrets)
            _send(resp, sent)
        elif route.method == "DELETE":
            self._delete(call, audits, req, resp)
        else:
            _answer(resp, _done(call))

    def _delete(self, call: Call, audits: list[Audited], req: falcon.Request, resp: falcon.Response) -> None:
        what = call.identity, f"{req.path}?{call.environ.get('QUERY_STRING', '')}"
        with self._deletes.begun(*what) as others:
            try:
                # NOTE: guarded in here, since what is gone belongs to no workflow any more.
                answer = _done(_guarded(call, audits))
            except NotFound:
                sent = self._before(what, others=others)
                if sent is None:
                    raise
            else:
                sent = self._before(what, others=others) if _removed_nothing(answer.body) else None
                if sent is None:
                    sent = _sent(answer)
                    self._deletes.keep(*what, sent=sent)
        _send(resp, sent)

    def _before(self, what: tuple[str, str], *, others: bool) -> Sent | None:
        """What was answered when the same was deleted a moment ago.

        Raises
        ------
        Unavailable
            If that may be going on.
        """
        before = self._deletes.again(*what)
        if before is None and others:
            raise Unavailable("the same is being deleted at this moment; ask again")
        return before


def _guarded(call: Call, audits: list[Audited]) -> Call:
    """The call with the store as far as its principal may use it; what matters there is written down."""
    who = call.principal
    bare, growth = call.service.guard(call), call.service.growth
    within = bare if growth is None else cast("Store", Growing(bare, growth))
    store = Audited(within, call.audit, call.together, who.name if who.is_admin else None)
    audits.append(store)
    return replace(call, store=cast("Store", store))


def _done(call: Call) -> Answer:
    value = call.route.handler(call)
    return value if isinstance(value, Answer) else Answer(body=value)


def _removed_nothing(body: object) -> bool:
    return isinstance(body, Mapping) and 0 in (body.get("count"), body.get("deleted_count"))


def _sent(answer: Answer) -> Sent:
    return Sent(status=answer.status, raw=_bytes(answer))


def _bytes(answer: Answer) -> bytes:
    return answer.raw if answer.raw is not None else told(answer.body)


def _send(resp: falcon.Response, sent: Sent) -> None:
    resp.status = falcon.code_to_http_status(sent.status)
    resp.data = sent.raw


def _answer(resp: falcon.Response, answer: Answer) -> None:
    resp.data = _bytes(answer)
    if answer.status != 200:
        resp.status = falcon.code_to_http_status(answer.status)
    if answer.content_type != "application/json":
        resp.content_type = answer.content_type
    for name, value in (answer.headers or {}).items():
        resp.set_header(name, value)


def create_app(service: Service) -> Application:
    """The WSGI application of a service.

    Raises
    ------
    ValueError
        If a route declares no class, or is there twice.
    """
    return Application(service)


class Application:
    """The WSGI application: the same routes under the base path and under `/t/<token>/`."""

    def __init__(self, service: Service) -> None:
        self.routes = all_routes() if service.routes is None else checked(service.routes)
        desk = Desk(service)
        self._counts: Counts = (service.parts or {}).get("counts") or Counts()
        self._requests = itertools.count(1)
        self._boot = service.clock.uuid()[:8]
        sized = [(one, desk.sizes[one.size]) for one in self.routes if one.size != "plain"]
        # PERF: this is asked of every request, in the thread of all connections.
        self._fixed = {(one.method, one.place): limit for one, limit in sized if "{" not in one.place}
        self._limits = [
            (one.method, re.compile(_pattern(one.place)), limit) for one, limit in sized if "{" in one.place
        ]
        self._plain = desk.sizes["plain"]
        self._desk = desk
        self._falcon = _routed(tuple(self.routes))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        began = perf_counter()
        request = environ.get("torc.request_id") or f"{self._boot}-{next(self._requests):x}"
        environ["torc.request_id"] = request
        path: str = environ.get("PATH_INFO", "")
        if path.startswith("/t/"):
            token, slash, rest = path[3:].partition("/")
            environ[CAPABILITY] = token
            environ["PATH_INFO"] = slash + rest if rest.startswith(BASE[1:] + "/") else "/t"

        def start(status: str, headers: list[tuple[str, str]], *why: Any) -> Any:
            route: Route | None = environ.get(ROUTE)
            name = "none" if route is None else route.operation_id
            self._counts.request(name, environ["REQUEST_METHOD"], status[:3], perf_counter() - began)
            return start_response(status, [*headers, *HEADERS, ("X-Request-Id", request)], *why)

        environ[DESK] = self._desk
        return self._falcon(environ, start)

    def limit_of(self, method: str, path: str) -> int:
        """How long the body of such a request may be; for those who read it (`wire.md` T12)."""
        if path.startswith("/t/"):
            path = path[path.find("/", 3) :]
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed
        for name, pattern, limit in self._limits:
            if name == method and pattern.fullmatch(path):
                return limit
        return self._plain


@cache
def _routed(routes: Sequence[Route]) -> falcon.App[falcon.Request, falcon.Response]:
    """Falcon's part for these routes; who serves a request stands in its environment."""
    # PERF: 200 routes are added in 30 ms, and a process may have one application after the other.
    found = falcon.App(media_type="application/json")
    found.req_options.auto_parse_form_urlencoded = False
    for place, methods in _by_place(routes).items():
        found.add_route(place, Resource(methods))
    found.add_error_handler(Exception, _tell)
    found.add_error_handler(falcon.HTTPError, _tell_http)
    found.add_sink(_unknown, "/")
    return found


YIELDING = ("/turn", "/claim", "/finish", "/join", "/leave", "/x/nodes")
"""How the paths end of what runners say by the thousand."""


def yields(method: str, path: str) -> bool:
    """Whether a request may wait while others are served: what runners say, of which there may be a thousand at once."""
    return method == "POST" and "/x/" in path and path.endswith(YIELDING)


def _pattern(path: str) -> str:
    return re.sub(r"\\{[^/]*\\}", "[^/]+", re.escape(path))


def _by_place(routes: Sequence[Route]) -> Mapping[str, Mapping[str, Route]]:
    found: dict[str, dict[str, Route]] = {}
    for route in routes:
        found.setdefault(route.place, {})[route.method] = route
    return found


def _unknown(req: falcon.Request, resp: falcon.Response, **params: str) -> None:
    raise Refused(404, f"there is nothing at '{req.path}'; the API lies under {BASE}")


def _tell(req: falcon.Request, resp: falcon.Response, error: Exception, params: Mapping[str, Any]) -> None:
    failed = errors.failure(error, req.env["torc.request_id"])
    resp.status = falcon.code_to_http_status(failed.status)
    resp.data = told(failed.body, default=repr)
    resp.content_type = "application/json"
    for name, value in failed.headers.items():
        resp.set_header(name, value)


def _tell_http(
    req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: Mapping[str, Any]
) -> None:
    headers = error.headers if isinstance(error.headers, Mapping) else dict(error.headers or ())
    message = error.description or error.title or "wrong request"
    _tell(req, resp, Refused(error.status_code, message, headers=headers), params)
