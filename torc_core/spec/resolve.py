"""Turns names and regexes into positions; equal lists are looked up once, however many jobs carry them (step 8)."""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cached_property
from typing import Any

from torc_core.spec.complaint import Report
from torc_core.spec.document import Path
from torc_core.spec.drafts import Draft
from torc_core.spec.names import Names
from torc_core.spec.shape import quoted

Positions = tuple[int, ...]

_LITERAL = re.compile(r"\^((?:[A-Za-z0-9_ /=:,;@%#&~!<>\"'-]|\\[^A-Za-z0-9])*)(\.\*)?")
FEW = 100
"""Names that begin like an expression; so many are looked at one by one."""

_PER_NAME = re.compile(r"\\[AzZC]|\(\?[A-Za-z]*[ms-]")


class Matcher:
    """Searches names with RE2, whose time is linear in the text."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._found: dict[str, Positions | str] = {}

    def matches(self, pattern: str) -> Positions | str:
        """Positions of the names in which the pattern is found, ascending; a text: what is wrong with it."""
        found = self._found.get(pattern)
        if found is None:
            found = self._found[pattern] = self._search(pattern)
        return found

    def _search(self, pattern: str) -> Positions | str:
        import re2  # type: ignore[import-untyped]  # ships no types

        options = re2.Options()
        options.log_errors = False
        try:
            compiled = re2.compile(pattern.encode(), options)
        except re2.error as error:
            cause = error.args[0] if error.args else b""
            told = cause.decode(errors="replace") if isinstance(cause, bytes) else str(cause)
            return f"regex {quoted(pattern)} is not valid: {_with_position(told, pattern)}"
        head = _LITERAL.match(pattern)
        if (
            head
            and head[1]
            and pattern[head.end() : head.end() + 1] not in ("*", "+", "?", "{")
            and "|" not in pattern
        ):
            literal = re.sub(r"\\(.)", r"\1", head[1])
            rest = pattern[head.end() :]
            candidates = self._starting_with(literal)
            if not rest:
                return tuple(candidates)
            if len(candidates) <= FEW or _PER_NAME.search(pattern):
                return tuple([k for k in candidates if compiled.search(self._encoded[k])])
        if _PER_NAME.search(pattern):
            return tuple([k for k, name in enumerate(self._encoded) if compiled.search(name)])
        # PERF: one search over all names, a line each, instead of a call for each name that does not match
        options.never_nl = True
        lines = re2.compile(b"(?m)" + pattern.encode(), options)
        found, at, blob, ends = [], 0, self._blob, self._ends
        while at <= len(blob) and (hit := lines.search(blob, at)):
            k = bisect_left(ends, hit.start())
            if k >= len(ends):
                break
            found.append(k)
            at = ends[k] + 1
        return tuple(found)

    def _starting_with(self, literal: str) -> list[int]:
        ordered, positions = self._ordered
        first = bisect_left(ordered, literal)
        last = bisect_left(ordered, literal[:-1] + chr(ord(literal[-1]) + 1))
        return sorted(positions[first:last])

    @cached_property
    def _ordered(self) -> tuple[list[str], list[int]]:
        pairs = sorted(self._names.positions.items())
        return [name for name, _ in pairs], [k for _, k in pairs]

    @cached_property
    def _encoded(self) -> list[bytes]:
        return [name.encode() for name in self._names.positions]

    @cached_property
    def _blob(self) -> bytes:
        return b"\n".join(self._encoded)

    @cached_property
    def _ends(self) -> list[int]:
        ends, at = [], -1
        for name in self._encoded:
            at += len(name) + 1
            ends.append(at)
        return ends


class Resolver:
    """The lists of one relation: names in one list, regexes in the one that follows it in `LISTS`."""

    def __init__(self, which: int, names: Names, matcher: Matcher, report: Report) -> None:
        self._which = which
        self._names = names
        self._matcher = matcher
        self._report = report
        self._last: list[tuple[Any, Positions]] = [((), ()), ((), ())]
        self._regexes: dict[tuple[str, ...], Positions] = {}

    def named(self, draft: Draft) -> Positions:
        """Positions of the names, in the order written."""
        names = draft.lists[self._which]
        # PERF: copies share a constant list as one object
        if names is self._last[0][0]:
            return self._last[0][1]
        found = []
        for k, name in enumerate(names):
            position = self._names.positions.get(name)
            if position is not None:
                found.append(position)
            elif message := self._names.unknown(name):
                path = draft.template.item(self._which, k)
                self._report.error("unknown-reference", path, message, about=draft.about)
        positions = tuple(dict.fromkeys(found)) if len(found) > 1 else tuple(found)
        self._last[0] = (names, positions)
        return positions

    def matched(self, draft: Draft) -> Positions:
        """Positions of what the regexes match, ascending."""
        regexes = draft.lists[self._which + 1]
        if regexes is self._last[1][0]:
            return self._last[1][1]
        positions = self._regexes.get(regexes)
        if positions is None:
            found = [
                self._matches(draft, pattern, draft.template.item(self._which + 1, k))
                for k, pattern in enumerate(regexes)
            ]
            positions = found[0] if len(found) == 1 else tuple(sorted(set().union(*found)))
            if all(found):
                self._regexes[regexes] = positions
        self._last[1] = (regexes, positions)
        return positions

    def others(self, draft: Draft, own: int, matched: Positions) -> Positions:
        """What the regexes match besides the job itself, which they never mean."""
        at = bisect_left(matched, own)
        if at == len(matched) or matched[at] != own:
            return matched
        for k, pattern in enumerate(draft.lists[self._which + 1]):
            if self._matcher.matches(pattern) == (own,):
                message = f"regex {quoted(pattern)} matches no {self._names.noun} but the job itself"
                path = draft.template.item(self._which + 1, k)
                self._report.error("no-match", path, message, about=draft.about)
        return matched[:at] + matched[at + 1 :]

    def _matches(self, draft: Draft, pattern: str, path: Path) -> Positions:
        found = self._matcher.matches(pattern)
        if isinstance(found, str):
            self._report.error("bad-regex", path, found, about=draft.about)
            return ()
        if not found and self._names.whole:
            message = f"regex {quoted(pattern)} matches no {self._names.noun}"
            self._report.error("no-match", path, message, about=draft.about)
        return found


def _with_position(told: str, pattern: str) -> str:
    """RE2 says what it stumbled over; say also where that stands."""
    what, _, piece = told.partition(": ")
    at = pattern.find(piece) if piece else -1
    return f"{told} (at character {at + 1})" if at >= 0 else what or told
