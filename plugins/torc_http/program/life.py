"""One life of a server: its database is opened, its doors too, then it serves until told to stop."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from torc_core import __version__
from torc_core.config import Config
from torc_core.config.choice import sqlite_url
from torc_core.errors import Owned, TorcError, Unavailable
from torc_core.protocols import Store
from torc_core.session import Session
from torc_http.auth.settings import AuthSettings, settled
from torc_http.figures import Figures
from torc_http.growth import Limits
from torc_http.housekeeping import Keeping
from torc_http.program import logs, places
from torc_http.program.backups import Backups
from torc_http.program.checking import check
from torc_http.program.daemon import Daemon, refuse_no_folder, write_pid
from torc_http.program.opening import database_path
from torc_http.program.repairing import repair, tell_predecessor
from torc_http.program.watching import Stopping
from torc_http.running import Running
from torc_http.serving.certificate import Certificate, given_certificate, own_certificate
from torc_http.serving.identity import is_real_root
from torc_http.serving.listening import Listening
from torc_http.serving.server import raise_open_files
from torc_http.serving.settings import ServingSettings
from torc_http.tending import Tender
from torc_terminal.internal_names import Hints

SAFE_SQLITE = (3, 51, 3)
"""From this release on the library is free of a defect of its write-ahead log (`promises.md` Q4, Q5)."""

MIB = 1024**2

SWITCH = 0.0005
"""Seconds that a thread keeps the interpreter while others want it.

PERF: every look at a socket and every step of a statement gives the interpreter away. At Python's 5 ms a request that a
thread serves in 2 ms waited 50 ms to 100 ms while runners' turns were served; the thread of all connections waited at
each connection.
"""

MEMORY = ":memory:"
"""The name of a database that is there as long as its server runs."""


class Program:
    """One life of a server."""

    def __init__(
        self,
        session: Session,
        config: Config,
        *,
        port: str | None = None,
        insecure_no_auth: bool = False,
        daemon: Daemon | None = None,
        shared: bool = False,
        pid_file: str | None = None,
        idle_exit: str | None = None,
        stdin_eof: bool = False,
    ) -> None:
        self._session = session
        self._config = config
        self._keys = config.server
        self._port = port or str(self._keys.port)
        self._insecure = insecure_no_auth
        self._daemon = daemon
        self._shared = shared
        self._pid_file = pid_file
        self._idle_exit = idle_exit
        self._stdin_eof = stdin_eof
        self._folder: Path | None = None
        self._path = database_path(config)
        if self._path.name == MEMORY:
            # NOTE: SQLite in memory belongs to one connection; readers and backups have others.
            self._folder = Path(tempfile.mkdtemp(prefix="torc-", dir=_fast_folder(config.environ)))
            self._path = self._folder / "torc.db"

    def run(self) -> None:
        """Serve until told to stop.

        Raises
        ------
        UsageError
            If an option makes no sense; nothing was made then.
        Unavailable
            If the database or the port belongs to somebody else.
        """
        auth, backups, stopping = self._auth(), self._backups(), self._stopping()
        check(self._keys, self._host, self._port, shared=self._shared)
        folder = self._log_folder()
        if self._pid_file:
            refuse_no_folder(Path(self._pid_file))
        if self._daemon is not None:
            self._daemon.leave()
        try:
            logs.set_up(
                self._keys.log_level,
                folder,
                as_json=self._keys.logging.json_logs,
                to_stderr=self._daemon is None,
            )
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
            raise_open_files()
            sys.setswitchinterval(SWITCH)
            store = self._store()
        except TorcError as error:
            self._fail(error)
            raise
        try:
            with stopping.listening():
                self._serve(store, auth, backups, stopping)
        except TorcError as error:
            self._fail(error)
            raise
        finally:
            store.close()
            self._forget(store)

    def _forget(self, store: Store) -> None:
        """Of a database that was for one life nothing is left, nor of its key."""
        if self._folder is not None:
            from torc_http.auth import keyfile

            shutil.rmtree(self._folder, ignore_errors=True)
            path = keyfile.servers(self._config.environ) / f"{store.server_id}.json"
            path.unlink(missing_ok=True)

    def _serve(self, store: Store, auth: AuthSettings, backups: Backups, stopping: Stopping) -> None:
        # NOTE: a database that is there is nobody else's before its port is asked for; for a new one the port comes first,
        # so that one that is taken leaves no database behind.
        doors = None if self._path.exists() else places.opened(self._host, self._port, again=False)
        # NOTE: the lock of the database is taken with the first write: from here on nobody else serves it.
        store.set_admins(auth.admin_users)
        tell_predecessor(store)
        repair(store)
        doors = doors or self._doors(store)
        scheme = "https" if self._keys.https else "http"
        urls = places.urls(self._host, doors, scheme=scheme)
        shown = places.advertised(self._host, doors, scheme=scheme)
        certificate = self._certificate(urls) if self._keys.https else None
        tender = self._tender(store, shown)
        running = Running(
            store,
            self._session.clock,
            doors,
            auth=auth,
            environ=self._config.environ,
            urls=urls,
            settings=ServingSettings(
                threads=max(16, 4 * self._keys.threads), held=self._keys.held_claims,
                streams=self._keys.streams, streams_per_user=self._keys.streams_per_user,
                body=self._keys.max_request_body_mb * MIB,
            ),
            sizes={"bulk": self._keys.max_request_body_mb * MIB},
            sweep_seconds=self._keys.sweep_seconds,
            keeping=Keeping(
                days=self._keys.events.keep_days, job_events=self._keys.events.keep_job_events,
                pause=self._keys.completion_check_interval_secs,
            ),
            limits=Limits(
                jobs=self._keys.limits.jobs_per_workflow,
                user_events=self._keys.limits.user_events_per_workflow,
            ),
            beat_seconds=self._keys.beat_seconds,
            eager=True,
            certificate=certificate,
            parts={"backups": backups, "metrics": self._metrics(), "tender": tender},
        )  # fmt: skip
        pid_file = Path(self._pid_file) if self._pid_file else None
        if pid_file is None and self._daemon is not None:
            pid_file = self._path.with_name(f"{self._path.name}.pid")
        if pid_file is not None:
            write_pid(pid_file)
        try:
            running.start()
            self._publish(store, running, shown, certificate)
            self._tell(running, auth, doors, shown)
            backups.start(store, self._path)
            tender.start()
            stopping.wait(store, backups, lambda: running.is_asked)
            stopping.say("stopping: requests in flight have 10 s")
        finally:
            tender.close()
            backups.close()
            running.close()
            if running.security is not None:
                running.security.stopped()
            if pid_file is not None:
                pid_file.unlink(missing_ok=True)

    @cached_property
    def _host(self) -> str:
        """What to listen on; names are looked for once."""
        host, configured = self._keys.host, self._config.client.hpc.hostname
        if host != "auto":
            return host
        return places.internal_name(configured, Hints() if configured else self._hints())

    def _hints(self) -> Hints:
        """What batch systems on this host know of internal names."""
        templates: list[str] = []
        controller = None
        for provider in self._session.host.launchers.values():
            if provider.internal is not None:
                forms, host = provider.internal(self._config, self._session.clock)
                templates += forms
                controller = controller or host
        return Hints(templates=templates, controller=controller)

    def _auth(self) -> AuthSettings:
        return settled(
            self._keys,
            owner=self._config.client.username,
            host=socket.gethostname(),
            real_root=is_real_root,
            insecure_no_auth=self._insecure,
            auth_is_default=self._config.given("server.auth") is None,
            allow_shared_permissions=self._shared,
        )

    def _metrics(self) -> Figures:
        keys = self._keys
        return Figures(enabled=keys.metrics, token_file=keys.metrics_token_file, database=self._path)

    def _tender(self, store: Store, shown: str) -> Tender:
        host, clock, config = self._session.host, self._session.clock, self._config
        if config.given("server.slurm.rpc_per_minute") is not None:
            # What batch systems are asked by is the server's own, in the budget that all of the user's processes share.
            asked = (self._keys.slurm.rpc_per_minute, "server.slurm.rpc_per_minute")
            config = config.over({"client.slurm.rpc_per_minute": asked})
        return Tender(
            store, clock, lambda: host.batches(store, clock, shown, config), config.client.username,
            submits=self._keys.slurm.submit != "never",
        )  # fmt: skip

    def _backups(self) -> Backups:
        return Backups(self._keys.backup_dir, self._keys.backup_every, self._keys.backup_keep)

    def _stopping(self) -> Stopping:
        return Stopping(self._idle_exit, stdin_eof=self._stdin_eof)

    def _log_folder(self) -> Path | None:
        named = self._keys.logging.log_dir
        if named is None and self._daemon is not None:
            return self._path.parent
        return None if named is None else Path(named).expanduser().absolute()

    def _store(self) -> Store:
        """The store of the database, which nobody else may have."""
        try:
            return self._session.host.open_own(
                sqlite_url(self._path), self._session.clock, readers=max(self._keys.threads, 2) + 2,
                legacy_claim_seconds=self._keys.legacy_claim_seconds, debug_events=self._keys.events.debug,
            )  # fmt: skip
        except Owned as owned:
            raise Unavailable(f"{owned}; stop it first, or serve another database") from owned

    def _doors(self, store: Store) -> Listening:
        return places.opened(self._host, self._port, again=self._had_port(store))

    def _had_port(self, store: Store) -> bool:
        """Whether this database was served on this port before."""
        from torc_http.auth import keyfile

        try:
            key = keyfile.read(keyfile.servers(self._config.environ) / f"{store.server_id}.json")
        except TorcError:
            return False
        return any(url.endswith(f":{self._port}") for url in key.urls)

    def _certificate(self, urls: object) -> Certificate:
        cert, key = self._keys.tls_cert, self._keys.tls_key
        if cert is not None and key is not None:
            return given_certificate(Path(cert).expanduser(), Path(key).expanduser())
        names = {"localhost", "127.0.0.1", "::1", socket.gethostname(), self._host}
        return own_certificate(self._path, names)

    def _publish(self, store: Store, running: Running, shown: str, certificate: Certificate | None) -> None:
        publish: Callable[[dict[str, str]], None] | None = getattr(store, "publish", None)
        if publish is None:
            return
        address = {"url": shown, "port": str(running.doors.port), "internal_host": self._host}
        if running.doors.path is not None:
            address["socket"] = str(running.doors.path)
        if running.key_file is not None:
            address["key_file"] = str(running.key_file)
        if certificate is not None:
            address["fingerprint"] = certificate.fingerprint
        publish(address)

    def _tell(self, running: Running, auth: AuthSettings, doors: Listening, shown: str) -> None:
        """Say where it is: two lines for programs, the rest for people."""
        lines = f"TORC_SERVER_PORT={doors.port}\nTORC_API_URL={shown}"
        if self._daemon is not None:
            self._daemon.say(lines)
        else:
            print(lines, flush=True)
        note = self._session.note if self._daemon is None else lambda text: None
        note(
            f"torc-server {__version__} serves '{self._path}' (pid {os.getpid()}, auth {auth.mode}, peer identity:"
            f" {running.peer_identity}, SQLite {sqlite3.sqlite_version})"
        )
        if sqlite3.sqlite_version_info < SAFE_SQLITE:
            note(
                f"note: SQLite {sqlite3.sqlite_version} is older than 3.51.3, which mended a rare defect of its"
                " write-ahead log; torc writes through one connection, which avoids it"
            )
        if running.security is not None and running.security.was_open():
            note(
                f"note: this database was served with --auth none before; now callers have to prove who they are (auth"
                f" {auth.mode}). To let everybody in again, say --auth none"
            )
        if running.security is not None and (
            banner := running.security.started(doors.addresses, __version__)
        ):
            print(banner, file=sys.stderr, flush=True)
        if self._daemon is None and _ends_with_the_session(self._config.environ):
            note("warning: this server ends when you log out; use 'tmux new -s torc' or --daemon")

    def _fail(self, error: TorcError) -> None:
        if self._daemon is not None:
            self._daemon.say(f"error: {error}", error.exit_code)


def _fast_folder(environ: Any) -> str | None:
    """Where what is for one life lies: in memory where there is a place for it; None: among temporary files."""
    places = [environ.get("XDG_RUNTIME_DIR"), "/dev/shm"]  # noqa: S108 - only a private folder is made there
    return next((place for place in places if place and os.access(place, os.W_OK)), None)


def _ends_with_the_session(environ: Any) -> bool:
    """Whether this is an SSH session that takes its processes along (V2)."""
    held = ("TMUX", "STY", "INVOCATION_ID")
    return "SSH_CONNECTION" in environ and not any(name in environ for name in held)
