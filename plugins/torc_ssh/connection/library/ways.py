"""The ways to hosts: by what the configuration says, over jump hosts whose lines all share, not too many at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from torc_core.engine.addresses import Address
from torc_core.errors import InvalidConfig
from torc_ssh.config import Options, SshConfig, hops
from torc_ssh.connection import causes
from torc_ssh.connection.library.handshake import Failed, logged_in
from torc_ssh.connection.library.line import PROHIBITED, Line, Refused
from torc_ssh.connection.library.sockets import Proxy, connected
from torc_ssh.fleet import STARTS_PER_SECOND, Pace

Route = tuple[Options, ...]


class Ways:
    """Makes lines to hosts; those to jump hosts are kept until it is closed.

    Parameters
    ----------
    note
        Is told each thing once, from any thread.
    """

    def __init__(self, config: SshConfig, note: Callable[[str], None]) -> None:
        self._config = config
        self._note = note
        self._noted: set[str] = set()
        self._lock = threading.Lock()
        self._jumps: dict[tuple[Any, ...], Future[Line]] = {}
        self._failed: dict[tuple[Any, ...], float] = {}
        self._pace = Pace(STARTS_PER_SECOND, time.monotonic)

    def options(self, address: Address) -> Options:
        """How a host is connected to.

        Raises
        ------
        InvalidConfig
            If the configuration makes no sense.
        """
        return self._config.options(address.host, address.user, address.port)

    def close(self) -> None:
        """Close the lines to jump hosts."""
        with self._lock:
            jumps, self._jumps = list(self._jumps.values()), {}
        for jump in jumps:
            if jump.done() and not jump.exception():
                jump.result().close()

    def line(self, address: Address, timeout: float) -> Line:
        """A line of its own to this host.

        Raises
        ------
        Failed
            With the cause.
        """
        try:
            route = self._route(address)
        except InvalidConfig as error:
            raise Failed(str(error)) from error
        self._pace.wait(route[0].hostname)
        return self._along(route, timeout)

    def note(self, text: str) -> None:
        """Tell the user once."""
        with self._lock:
            if text in self._noted:
                return
            self._noted.add(text)
        self._note(text)

    def _route(self, address: Address) -> Route:
        """All hosts on the way, the first one first."""
        options = self.options(address)
        return self._with_jumps(options, (options.original,))

    def _with_jumps(self, options: Options, seen: tuple[str, ...]) -> Route:
        for directive in options.unsupported:
            self.note(
                f"{directive} of the ssh configuration is not used for {options.original}; "
                "set client.remote.backend = 'openssh' for it"
            )
        if not options.proxy_jump:
            return (options,)
        named = hops(options.proxy_jump)
        way = [self._config.options(hop.host, hop.user, hop.port) for hop in named]
        if way[0].original in seen:
            raise InvalidConfig(f"ProxyJump of {options.original} leads back to {way[0].original}")
        # The first of them may have hosts of its own on the way; those after it are reached through it.
        first = self._with_jumps(way[0], (*seen, way[0].original))
        return (*first, *way[1:], options)

    def _along(self, route: Route, timeout: float) -> Line:
        """A new line to the last host of a route; the lines to those before it are shared."""
        *before, options = route
        seconds = options.connect_timeout or timeout
        if before:
            # Its time is its own.
            self._jump(tuple(before), timeout)
        deadline = time.monotonic() + seconds
        inner: Any
        try:
            if before:
                inner = self._through(tuple(before), options, timeout, seconds)
            elif options.proxy_command:
                inner = Proxy(options.proxy_command)
            else:
                inner = connected(options, deadline)
        except Refused as error:
            jump_host = before[-1].original
            if error.code == PROHIBITED:
                raise Failed(f"Jump host {jump_host}: it does not allow forwarding") from error
            raise Failed(f"{error} (seen from jump host {jump_host})") from error
        except EOFError as error:
            raise Failed(f"Jump host {before[-1].original}: connection lost") from error
        except OSError as error:
            raise Failed(causes.of_socket(error, seconds)) from error
        return logged_in(inner, options, self.note, deadline, seconds)

    def _through(self, before: Route, options: Options, timeout: float, seconds: float) -> Any:
        """A channel over the shared line to a jump host, which is made anew when it turns out to be lost."""
        for again in (True, False):
            jump = self._jump(before, timeout)
            try:
                return jump.through(options.hostname, options.port, seconds)
            except EOFError:
                if not again:
                    raise
        raise AssertionError

    def _jump(self, route: Route, timeout: float) -> Line:
        """The shared line to a jump host: the first who needs it connects, the others wait for that.

        What failed is not tried again for as long as a connection may take: hosts behind a dead one fail with it.
        """
        key = tuple((one.hostname, one.user, one.port) for one in route)
        with self._lock:
            known = self._jumps.get(key)
            if known and known.done() and self._is_over(key, known, timeout):
                known = None
            mine: Future[Line] = known or Future()
            self._jumps[key] = mine
        if not known:
            try:
                mine.set_result(self._along(route, timeout))
            except BaseException as error:
                self._failed[key] = time.monotonic()
                mine.set_exception(error)
                if not isinstance(error, Failed):
                    raise
        try:
            return mine.result()
        except Failed as error:
            raise Failed(f"Jump host {route[-1].original}: {error}") from error

    def _is_over(self, key: tuple[Any, ...], known: Future[Line], timeout: float) -> bool:
        """Whether a line to a jump host was lost, or its failure is long ago."""
        if known.exception():
            return time.monotonic() - self._failed[key] > timeout
        return not known.result().is_active()
