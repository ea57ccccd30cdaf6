"""Which program a command is: `bash -c TEXT`, or a plain list of words that starts without a shell (`runner.md` §5.1).

Only the standard library is imported here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import takewhile

LONGEST = 120 * 1024
"""Bytes of text that go into one argument; longer ones go through a file (the kernel's bound is 128 KiB)."""

SYNTAX = re.compile(r"[|&;<>()$`\\\"'*?\[\]#~=%{}!\n\r\0]")
BLANKS = re.compile(r"[ \t]+")

BUILTINS = frozenset(
    ". : [ alias bg bind break builtin caller cd command compgen complete compopt continue declare dirs disown echo "
    "enable eval exec exit export false fc fg getopts hash help history jobs kill let local logout mapfile popd "
    "printf pushd pwd read readarray readonly return set shift shopt source suspend test times trap true type "
    "typeset ulimit umask unalias unset wait".split()
)
KEYWORDS = frozenset(
    "if then else elif fi case esac for select while until do done in function time coproc".split()
)

TWINS = frozenset({"true", "false"})
"""Builtins whose programs do the very same when they stand alone."""

SHELL_SETUP = (b"BASH_ENV", b"SHELLOPTS", b"BASHOPTS")
"""With one of these in its environment, bash does something before the command, or otherwise."""

SHELL_STATE = (b"PWD", b"OLDPWD", b"SHLVL", b"_")
"""What bash itself sets for the programs it starts."""


class Program:
    """What to execute; `direct`: without a shell in between."""

    __slots__ = ("argv", "direct", "path")

    def __init__(self, path: bytes, argv: tuple[bytes, ...], *, direct: bool = False) -> None:
        self.path = path
        self.argv = argv
        self.direct = direct


def text_of(command: str, script: str | None) -> str:
    """The text that bash runs: the invocation script is a wrapper, or a prologue if it has several lines."""
    if not script:
        return command
    return f"{script}\n{command}" if "\n" in script.strip("\n") else f"{script.strip()} {command}"


@lru_cache(maxsize=1024)
def words_of(text: str) -> tuple[bytes, ...]:
    """The words of a plain command; none: it needs bash to be understood."""
    if len(text) > LONGEST or SYNTAX.search(text):
        return ()
    words = BLANKS.split(text.strip(" \t"))
    first = words[0]
    if first in KEYWORDS or (first in BUILTINS and not (first in TWINS and len(words) == 1)):
        return ()
    return tuple(map(encoded, words)) if first else ()


def direct(
    text: str,
    env: Mapping[bytes, bytes],
    own: Mapping[bytes, bytes],
    known: dict[tuple[bytes, bytes], bytes | None],
) -> Program | None:
    """The program that a plain command names; None: bash has to decide.

    Parameters
    ----------
    env, own
        The environment of all jobs, and what this job has on top of it.
    known
        What `find` has said already of a name and a PATH; more is added.
    """
    words = words_of(text)
    if not words:
        return None
    first = words[0]
    for name in SHELL_SETUP:
        if name in env or name in own:
            return None
    for name in SHELL_STATE:
        if name in own:
            return None
    function = b"BASH_FUNC_" + first + b"%%"
    if function in env or function in own:
        return None
    if b"/" in first:
        return Program(first, words, direct=True) if _runs(first) else None
    asked = first, own.get(b"PATH", env.get(b"PATH", b""))
    path = known[asked] if asked in known else known.setdefault(asked, find(*asked))
    return Program(path, words, direct=True) if path else None


def find(name: bytes, search: bytes) -> bytes | None:
    """Where a PATH has a program; None: nowhere, or only the shell can tell what an entry means."""
    for folder in _folders(search):
        path = folder + name
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


@lru_cache(maxsize=64)
def _folders(search: bytes) -> tuple[bytes, ...]:
    """The folders of a PATH up to the first entry that is not absolute.

    An empty or relative entry means the working directory, or nothing where there is no PATH at all.
    """
    return tuple(folder + b"/" for folder in takewhile(lambda one: one.startswith(b"/"), search.split(b":")))


def by_bash(bash: bytes, text: str) -> Program:
    """Run a text by `bash -c`."""
    return Program(bash, (b"bash", b"-c", encoded(text)))


def by_file(bash: bytes, path: str) -> Program:
    """Run a text that lies in a file."""
    return Program(bash, (b"bash", os.fsencode(path)))


def encoded(text: str) -> bytes:
    """A text as the names of files are written here; as UTF-8 where this locale has no signs for it."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def as_bash_leaves_it(env: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The environment as a program finds it that `bash -c` has started; only `_` is left to be set."""
    after = dict(env)
    level = env.get(b"SHLVL", b"")
    after[b"SHLVL"] = level if level.isdigit() else b"0"
    here = env.get(b"PWD", b"")
    if not (here.startswith(b"/") and _same(here, b".")):
        after[b"PWD"] = os.getcwdb()
    if b"OLDPWD" in after and not os.path.isdir(after[b"OLDPWD"]):
        del after[b"OLDPWD"]
    return after


def _runs(path: bytes) -> bool:
    return os.access(path, os.X_OK) and os.path.isfile(path)


def _same(one: bytes, other: bytes) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
