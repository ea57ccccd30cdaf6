"""Lists of workers, in files and on the command line: one address per line, all mistakes told at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from torc_core.engine.addresses import Address, parse
from torc_core.errors import BadValue, Invalid
from torc_core.record import record

_LABEL = re.compile(r"label=(\S+)")
_COMMENT = re.compile(r"(^|\s)#.*")
_PORT_LIKE = re.compile(r"[1-9][0-9]{1,4}")


@record(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker: where it is, and the label its runner joins with."""

    address: Address
    label: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Workers:
    """Those of a list, in its order, and what is worth telling about it."""

    workers: tuple[Worker, ...]
    notes: tuple[str, ...] = ()


def read_workers(text: str, name: str, labels: Mapping[str, str] | None = None) -> Workers:
    """Read a file of workers: `[user@]host[:port] [label=…]` per line, `#` starts a comment.

    Parameters
    ----------
    name
        Of the file, as the user wrote it: every mistake begins with it and the number of its line.
    labels
        Labels by host, which go before those of the file.

    Raises
    ------
    BadValue
        With all mistakes, one per line.
    """
    entries = []
    for number, line in enumerate(_lines(text), start=1):
        if entry := _COMMENT.sub("", line).strip(" \t\f\v"):
            entries.append((number, entry))
    placed = ((f"{name}:{number}", number, entry) for number, entry in entries)
    return _workers(placed, "line {}", labels or {})


def given_workers(entries: Iterable[str], labels: Mapping[str, str] | None = None) -> Workers:
    """Read addresses of a command line.

    Parameters
    ----------
    labels
        Labels by host, as `--labels HOST=LABEL` gives them.

    Raises
    ------
    BadValue
        With all mistakes, one per line; also for a label of a host that is not in the list.
    """
    numbered = ((f"worker {number}", number, one) for number, one in enumerate(entries, start=1))
    return _workers(numbered, "worker {}", labels or {})


def _lines(text: str) -> list[str]:
    """Lines end with LF or CRLF; nothing else ends one, so that numbers are those of an editor."""
    return [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]


def _workers(entries: Iterable[tuple[str, int, str]], first: str, labels: Mapping[str, str]) -> Workers:
    workers: list[Worker] = []
    problems: list[str] = []
    notes: list[str] = []
    seen: dict[str, int] = {}
    wanted = {_host_of(host): label for host, label in labels.items()}
    for place, number, entry in entries:
        try:
            address, label = _entry(entry)
        except Invalid as error:
            problems.append(f"{place}: {error}")
            continue
        if address.host in seen:
            problems.append(
                f"{place}: duplicate host {address.host!r} (first on {first.format(seen[address.host])})"
            )
            continue
        seen[address.host] = number
        notes.extend(f"{place}: {note}" for note in _doubts(entry, address))
        workers.append(Worker(address=address, label=wanted.pop(address.host, label)))
    problems += [f"--labels: {host!r} is not in the list of workers" for host in wanted]
    if problems:
        raise BadValue("\n".join(problems), details={"problems": problems})
    return Workers(workers=tuple(workers), notes=tuple(notes))


def _entry(entry: str) -> tuple[Address, str | None]:
    text, *more = entry.split()
    label = None
    for word in more:
        found = _LABEL.fullmatch(word)
        if not found or label:
            raise Invalid(f"{word!r} after {text!r} is not understood; write one host per line")
        label = found[1]
    return parse(text), label


def _doubts(entry: str, address: Address) -> Iterator[str]:
    """A bare IPv6 address whose end looks like a port is an address all the same (RW2)."""
    text = entry.split(maxsplit=1)[0].rpartition("@")[2]
    host, _, end = text.rpartition(":")
    if ":" in address.host and not text.startswith("[") and _PORT_LIKE.fullmatch(end):
        yield f"{text!r} is read as an address without a port; write '[{host}]:{end}' if {end} is one"


def _host_of(text: str) -> str:
    try:
        return parse(text).host
    except Invalid:
        return text.lower()
