"""Password files: read, checked against, written (`security.md` §9)."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

import bcrypt

from torc_core.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from torc_core.record import record

LONGEST = 72
"""Bytes of a password that bcrypt looks at; longer ones are refused."""

COST = 12
LOWEST, DEAREST = 4, 31
VERIFIED = 15
"""A dearer hash takes seconds to check: whoever knows its user could stop the server."""

WEAK = 10

USERS = 10_000
SIZE = 4 * 1024**2

_HASH = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}", re.ASCII)
_OTHER = (
    ("{SHA}", "SHA-1"),
    ("$apr1$", "MD5"),
    ("$1$", "MD5"),
    ("$5$", "SHA-256 crypt"),
    ("$6$", "SHA-512 crypt"),
)


@record(frozen=True, slots=True, kw_only=True)
class PasswordFile:
    """Who has which hash; `warnings` are sentences about what is allowed and unwise."""

    hashes: Mapping[str, bytes]
    warnings: tuple[str, ...] = ()

    @property
    def usual_cost(self) -> int:
        """The cost of most hashes: what a check of a user who does not exist has to cost, too."""
        costs = [cost for one in self.hashes.values() if (cost := cost_of(one)) <= VERIFIED]
        return max(set(costs), key=costs.count) if costs else COST

    def checkable(self, user: str) -> bytes | None:
        """The hash of a user who can come in."""
        found = self.hashes.get(user)
        return found if found is not None and cost_of(found) <= VERIFIED else None


def cost_of(hashed: bytes) -> int:
    """The cost in a hash."""
    return int(hashed[4:6])


def parsed(text: str, path: str) -> PasswordFile:
    """All users of a password file, or none.

    Raises
    ------
    Invalid
        The sentence names the line that is wrong.
    """
    hashes: dict[str, bytes] = {}
    warnings: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"line {number} of '{path}'"
        user, colon, hashed = line.rstrip().partition(":")
        if not colon or not user:
            raise Invalid(f"{where} is not USER:HASH")
        if user in hashes:
            raise Invalid(f"{where}: user '{user}' is there twice")
        found = _HASH.fullmatch(hashed)
        if not found:
            raise Invalid(
                f"{where}: {_what(hashed)}; make a bcrypt hash with 'torc-htpasswd add -f {path} {user}'"
            )
        cost = int(found[1])
        if not LOWEST <= cost <= DEAREST:
            raise Invalid(f"{where}: cost {cost} is not between {LOWEST} and {DEAREST}; add the user again")
        if cost > VERIFIED:
            warnings.append(
                f"{where}: cost {cost} takes too long to check, so that '{user}' cannot come in; use {COST}"
            )
        if cost < WEAK:
            warnings.append(f"{where}: cost {cost} is easy to guess against; use {COST}")
        hashes[user] = hashed.encode("ascii")
    if len(hashes) > USERS:
        raise Invalid(f"'{path}' has {len(hashes)} users; at most {USERS} are read")
    return PasswordFile(hashes=hashes, warnings=tuple(warnings))


def load(path: Path, *, shared: bool = False) -> PasswordFile:
    """Read a password file.

    Parameters
    ----------
    shared
        Whether others may write in it (`--allow-shared-permissions`).

    Raises
    ------
    NotFound, Forbidden, Invalid
        If it is not there, open to others, or wrong.
    """
    return parsed(_text(path, shared=shared), str(path))


def hashed(password: str, cost: int = COST) -> str:
    """A hash for a file.

    Raises
    ------
    Invalid
        If the password is empty, too long, or has a NUL.
    """
    if not LOWEST <= cost <= DEAREST:
        raise Invalid(f"cost {cost} is not between {LOWEST} and {DEAREST}")
    raw = password.encode("utf-8", "surrogateescape")
    if not raw:
        raise Invalid("the password is empty")
    if len(raw) > LONGEST:
        raise Invalid(f"the password has {len(raw)} bytes; bcrypt takes at most {LONGEST}")
    if b"\0" in raw:
        raise Invalid("the password has a NUL character")
    return bcrypt.hashpw(raw, bcrypt.gensalt(cost)).decode("ascii")


def matches(password: str, hashed: bytes) -> bool:
    """Whether this is the password; takes as long as the cost of the hash says."""
    raw = password.encode("utf-8", "surrogateescape")
    if not 0 < len(raw) <= LONGEST or b"\0" in raw:
        return False
    try:
        return bcrypt.checkpw(raw, hashed)
    except ValueError:
        return False


def check_user(user: str) -> str:
    """A user name that a line can hold.

    Raises
    ------
    Invalid
        If it cannot.
    """
    if not user or len(user) > 255 or ":" in user or user != user.strip() or user.startswith("#"):
        raise Invalid(f"user name '{user}' is empty, too long, or has a colon, '#' or space at an end")
    if not user.isprintable():
        raise Invalid("a user name has no control characters")
    return user


def set_user(path: Path, user: str, hash: str) -> bool:
    """Add a user, or give him another hash; whether he is new. Other lines stay as they are."""
    check_user(user)
    with Locked(path):
        lines = _lines(path)
        at = _line_of(lines, user)
        line = f"{user}:{hash}"
        changed = [*lines, line] if at is None else [*lines[:at], line, *lines[at + 1 :]]
        _replace(path, changed)
    return at is None


def remove_user(path: Path, user: str) -> None:
    """Take a user out; other lines stay as they are.

    Raises
    ------
    NotFound
        If he is not there.
    """
    with Locked(path):
        lines = _lines(path, must_exist=True)
        at = _line_of(lines, user)
        if at is None:
            raise NotFound(f"'{path}' has no user '{user}'")
        _replace(path, [*lines[:at], *lines[at + 1 :]])


def _line_of(lines: list[str], user: str) -> int | None:
    return next(
        (at for at, line in enumerate(lines) if line.partition(":")[::2][0] == user and ":" in line), None
    )


def _lines(path: Path, *, must_exist: bool = False) -> list[str]:
    try:
        return _text(path).splitlines()
    except NotFound:
        if must_exist:
            raise
        return []


def _text(path: Path, *, shared: bool = False) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(
            f"there is no password file '{path}'; make one with 'torc-htpasswd add -f {path} USER'"
        ) from error
    except OSError as error:
        raise Unavailable(f"password file '{path}' cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise Invalid(f"'{path}' is no plain file")
        if about.st_uid not in {0, os.geteuid()}:
            raise Forbidden(f"password file '{path}' belongs to uid {about.st_uid}; it has to be yours")
        if about.st_mode & 0o022 and not shared:
            raise Forbidden(f"password file '{path}' can be written by others; run 'chmod 600 {path}'")
        raw = file.read(SIZE + 1)
    if len(raw) > SIZE:
        raise Invalid(f"password file '{path}' is larger than {SIZE} bytes")
    return raw.decode("utf-8", "surrogateescape")


class Locked:
    """Keeps two writers of one file apart: a lock on its folder, which is there also when the file is not."""

    def __init__(self, path: Path) -> None:
        self._folder = path.absolute().parent

    def __enter__(self) -> None:
        try:
            self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Unavailable(f"folder '{self._folder}' cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except OSError as error:
            os.close(self._descriptor)
            raise Conflict(f"folder '{self._folder}' cannot be locked: {error.strerror}") from error

    def __exit__(self, *about: object) -> None:
        os.close(self._descriptor)


def _replace(path: Path, lines: list[str]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(f"no file can be made beside '{path}': {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(descriptor)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _what(hashed: str) -> str:
    if hashed.startswith(("$2a$", "$2b$", "$2y$", "$2$", "$2x$")):
        return "the bcrypt hash is damaged"
    kind = next((name for mark, name in _OTHER if hashed.startswith(mark)), None)
    return f"{kind} hashes are too weak to be used" if kind else "this is no bcrypt hash"
