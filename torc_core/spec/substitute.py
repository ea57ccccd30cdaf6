"""Replaces `${files…}` and `${user_data…}` in commands; what is named so becomes a relation of the job (step 7)."""

from __future__ import annotations

import json
import re

from torc_core.model import user_data_mark
from torc_core.spec.complaint import Report
from torc_core.spec.drafts import COMMAND, IN_DATA, IN_FILES, OUT_DATA, OUT_FILES, SCRIPT, TEXTS, Draft
from torc_core.spec.expand import Expansion
from torc_core.spec.shape import MOST_TEXT, size_text

INSERTED_TEXT = 256
"""Characters that may on average be inserted for each object a document is allowed."""

Lists = tuple[tuple[str, ...], ...]

_TOKEN = re.compile(r"\$\{(files|user_data)\.(input|output)\.([^}]{0,600})\}")  # bounded: names are shorter
_LIST = {
    ("files", "input"): IN_FILES,
    ("files", "output"): OUT_FILES,
    ("user_data", "input"): IN_DATA,
    ("user_data", "output"): OUT_DATA,
}


def substitute(made: Expansion, most: int, report: Report) -> None:
    """Replace the tokens of all commands and scripts, which together may grow by so many objects' texts."""
    _Substitution(made, most, report).run()


class _Substitution:
    def __init__(self, made: Expansion, most: int, report: Report) -> None:
        self._made = made
        self._left = most * INSERTED_TEXT
        self._report = report
        self._inserted: dict[tuple[str, str, str], str] = {}
        # PERF: copies share a constant command as one object, and so its replacement
        self._last: tuple[str, str, list[tuple[int, str]]] = ("", "", [])
        self._lists: tuple[object, Lists] = (None, ())

    def run(self) -> None:
        for draft in self._made.drafts:
            for which in (COMMAND, SCRIPT):
                text = draft.texts[which]
                if text is not None and "${" in text:
                    if self._last[0] is not text:
                        self._last = (text, *self._replaced(draft, which, text))
                        self._lists = (None, ())
                    self._apply(draft, which, self._last[1], self._last[2])
                    if self._left < 0:
                        return

    def _replaced(self, draft: Draft, which: int, text: str) -> tuple[str, list[tuple[int, str]]]:
        added: list[tuple[int, str]] = []
        size = len(text)

        def value(found: re.Match[str]) -> str:
            nonlocal size
            kind, way, name = found[1], found[2], found[3]
            names = self._made.names[kind]
            if name not in names.positions:
                if message := names.unknown(name):
                    path = (*draft.template.path, TEXTS[which])
                    self._report.error("unknown-reference", path, message, about=draft.about)
                return found[0]
            added.append((_LIST[kind, way], name))
            inserted = self._value(kind, way, name)
            size += len(inserted)
            return inserted if size <= MOST_TEXT else ""

        replaced = _TOKEN.sub(value, text)
        if size > MOST_TEXT:
            message = (
                f"the {TEXTS[which]} is {size_text(size)} long with what is inserted; the limit is 1 MiB"
            )
            self._report.error("too-large", (*draft.template.path, TEXTS[which]), message, about=draft.about)
        self._left -= len(replaced) - len(text)
        if self._left < 0:
            message = "the commands of all jobs together are too long with what is inserted"
            self._report.error("too-large", (*draft.template.path, TEXTS[which]), message)
        return replaced, added

    def _value(self, kind: str, way: str, name: str) -> str:
        key = (kind, way, name)
        if key in self._inserted:
            return self._inserted[key]
        position = self._made.names[kind].positions[name]
        if kind == "files":
            return self._made.files[position].path
        record = self._made.user_data[position]
        text = user_data_mark(position)
        if way == "input" and record.has_data:
            # A quote inside JSON text would end the shell word around it.
            text = json.dumps(record.data, ensure_ascii=False, separators=(",", ":")).replace("'", "\\u0027")
        self._inserted[key] = text
        return text

    def _apply(self, draft: Draft, which: int, text: str, added: list[tuple[int, str]]) -> None:
        draft.texts = (*draft.texts[:which], text, *draft.texts[which + 1 :])
        if added:
            if self._lists[0] is not draft.lists:
                lists = list(draft.lists)
                for k in {k for k, _ in added}:
                    lists[k] = tuple(dict.fromkeys([*lists[k], *(name for at, name in added if at == k)]))
                self._lists = (draft.lists, tuple(lists))
            draft.lists = self._lists[1]
