"""Counts what parameters will make, then makes it: jobs, files and user data without parameters (steps 4 to 6)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from torc_core.model import PlannedFile, PlannedUserData
from torc_core.spec.complaint import Report
from torc_core.spec.document import Path
from torc_core.spec.drafts import COMMAND, LABEL, NAME, Draft, JobTemplate, copies, report_differing
from torc_core.spec.names import Names
from torc_core.spec.parameters import Values, count, unknown_parameter
from torc_core.spec.parse import Spec
from torc_core.spec.shape import CONTROL, LARGEST, name_fault, quoted, shown, size_text
from torc_core.spec.tokens import Row, Scope, Template, Unfit

MOST_DATA = 2 * 1024**2

AVERAGE_TEXT = 1024
"""Characters that an expanded object may have on average, so that a small document cannot fill the memory."""


class Expansion:
    """A spec without parameters, in document order, and the names by which its parts are found.

    `places` are the paths of files and user data in the document; drafts know theirs.
    """

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.files: list[PlannedFile] = []
        self.user_data: list[PlannedUserData] = []
        self.places: dict[str, list[Path]] = {"files": [], "user_data": []}
        self.names = {"jobs": Names("job"), "files": Names("file"), "user_data": Names("user data record")}


def expand(spec: Spec, most: int, report: Report) -> Expansion:
    """Expand all objects of a spec, unless they are more than `most`."""
    return _Expander(spec, most, report).expand()


class _Expander:
    def __init__(self, spec: Spec, most: int, report: Report) -> None:
        self._spec = spec
        self._most = most
        self._report = report
        self._made = Expansion()
        self._used: set[str] = set()
        self._text = 0
        self._identifiers: dict[str, Path] = {}
        # A pool that is no mapping has been complained about; then so is everything that names it.
        self._pooled = isinstance(spec.tree.get("parameters", {}), Mapping)
        self._env: Mapping[str, str] = spec.values["env"] or {}

    def expand(self) -> Expansion:
        objects = [
            (key, path, values)
            for key in ("files", "user_data", "jobs")
            for path, values in self._spec.objects(key)
        ]
        scopes = [self._scope(values, path) for _, path, values in objects]
        self._count(scopes, [path for _, path, _ in objects])
        for key, names in self._made.names.items():
            if self._spec.values[key] is None or None in self._spec.values[key]:
                names.excuse_all()
        makers = {"files": self._file, "user_data": self._user_data, "jobs": self._job}
        for (key, path, values), scope in zip(objects, scopes, strict=True):
            made = False
            if scope is not None and values["name"] is not None:
                try:
                    made = makers[key](values, path, scope)
                except Unfit as error:
                    self._report.error("bad-format", error.path, str(error))
                self._unused(values, path, scope)
            if not made:
                self._made.names[key].excuse(values["name"])
        for name in self._spec.pool:
            if name not in self._used:
                message = f"no object uses the parameter '{name}'; name it in use_parameters"
                self._report.warning("unused-parameter", ("parameters", name), message)
        return self._made

    def _scope(self, values: Mapping[str, Any], path: Path) -> Scope | None:
        """The active parameters; None when something about them was complained about."""
        pool, active = self._spec.pool, dict[str, Values | None]()
        broken = values["parameter_mode"] is None
        for k, name in enumerate(values["use_parameters"] or ()):
            if name in pool:
                self._used.add(name)
                active[name] = pool[name]
                continue
            broken = True
            if name is not None and self._pooled:
                message = unknown_parameter(name, pool, self._report)
                self._report.error("unknown-reference", (*path, "use_parameters", k), message)
        active.update(values["parameters"] or {})
        known = {name: found for name, found in active.items() if found is not None}
        if broken or len(known) < len(active):
            return None
        together = values["parameter_mode"] == "zip"
        sizes = {name: count(found) for name, found in known.items()}
        if together and len(set(sizes.values())) > 1:
            told = ", ".join(f"{name} has {_many(size)}" for name, size in sizes.items())
            told = told.replace(",", " values,", 1)
            self._report.error("unequal-zip", path, f"parameter_mode zip needs equal lengths: {told}")
            return None
        return Scope(known, together=together, known=self._spec.reading.variables, pool=pool)

    def _count(self, scopes: list[Scope | None], paths: list[Path]) -> None:
        """Refuse, by arithmetic alone, what would be too many (step 4)."""
        total, limit = 0, f"the limit is {self._most:,} objects in all (--max-expanded raises it)"
        for k, scope in enumerate(scopes):
            made = scope.copies if scope else 0
            if scope and made > self._most:
                number = len(scope.parameters)
                told = f"{number} parameter{' gives' if number == 1 else 's give'} {_many(made)} copies"
                self._report.error("too-many", paths[k], f"{told}; {limit}")
                scopes[k] = None
            else:
                total += made
        if total > self._most:
            self._report.error("too-many", (), f"the document makes {total:,} objects; {limit}")
            scopes[:] = [None] * len(scopes)

    def _fits(self, moving: int, scope: Scope, path: Path) -> bool:
        """Refuse texts that would fill the memory when they are copied."""
        self._text += moving * (scope.copies - 1)
        if self._text <= self._most * AVERAGE_TEXT:
            return True
        self._text -= moving * (scope.copies - 1)
        told = f"{scope.copies:,} copies of {size_text(moving)} of text are too many"
        self._report.error("too-many", path, f"{told}; shorten the texts that hold parameters")
        return False

    def _job(self, values: Mapping[str, Any], path: Path, scope: Scope) -> bool:
        job = JobTemplate(values, path, scope, self._report)
        if job.texts[NAME] is None or not self._fits(job.moving_text, scope, path):
            return False
        made, names = self._made, self._made.names["jobs"].positions
        for draft in copies(job, scope, self._env, self._report):
            name, command, label = draft.name, draft.texts[COMMAND], draft.texts[LABEL]
            if command is not None and not command.strip():
                message = "the command is empty; write what to run"
                self._report.error("bad-value", (*path, "command"), message, about=draft.about)
            if label is not None and (fault := label_fault(label)):
                self._report.error("bad-value", (*path, "label"), fault, about=draft.about)
            if fault := name_fault(name):
                self._report.error("bad-name", (*path, "name"), fault)
                self._made.names["jobs"].excuse(name)
            elif names.setdefault(name, len(made.drafts)) == len(made.drafts):
                made.drafts.append(draft)
            else:
                first = made.drafts[names[name]].template.path
                self._duplicate("job name", name, (*path, "name"), first)
        return True

    def _file(self, values: Mapping[str, Any], path: Path, scope: Scope) -> bool:
        keys = ("name", "path", "identifier")
        texts = [
            None if values[key] is None else scope.reference(values[key], (*path, key), self._report)
            for key in keys
        ]
        moving = sum(text.size for text in texts if isinstance(text, Template))
        if texts[0] is None or not self._fits(moving, scope, path):
            return False
        copied: dict[str, PlannedFile] = {}
        number = 0
        for row in scope.rows():
            name, at, identifier = [text.fill(row) if isinstance(text, Template) else text for text in texts]
            file = PlannedFile(name=name or "", path=at or "", identifier=identifier)
            if copied.setdefault(file.name, file) != file:
                number += 1
                if number == 1:
                    key = "path" if copied[file.name].path != file.path else "identifier"
                    missing = next(
                        (text.columns[0][0] for text in texts[1:] if isinstance(text, Template)), ""
                    )
                    report_differing(self._report, path, scope.copies, file.name, key, missing)
        for file in copied.values():
            if file.identifier is not None:
                self._identifier(file.identifier, path)
            if not file.path and texts[1] is not None:
                self._report.error("bad-value", (*path, "path"), "the path is empty; write where the file is")
            if self._named("files", file.name, path):
                self._made.files.append(file)
                self._made.places["files"].append(path)
        return True

    def _user_data(self, values: Mapping[str, Any], path: Path, scope: Scope) -> bool:
        name = scope.reference(values["name"], (*path, "name"), self._report)
        data = self._data(values["data"], (*path, "data"), scope)
        size = _size(values["data"])
        moving = (size if _moves(data) else 0) + (name.size if isinstance(name, Template) else 0)
        if size > MOST_DATA:
            message = f"data is {size_text(size)} long; the limit is 2 MiB"
            self._report.error("too-large", (*path, "data"), message)
            return False
        if name is None or not self._fits(moving, scope, path):
            return False
        copied: dict[str, PlannedUserData] = {}
        told = False
        for row in scope.rows():
            value = _filled(data, row) if _moves(data) else data
            record = PlannedUserData(
                name=name if isinstance(name, str) else name.fill(row),
                data=value,
                has_data=value is not None,
                is_ephemeral=bool(values["is_ephemeral"]),
            )
            if copied.setdefault(record.name, record) != record and not told:
                told = True
                missing = next(iter(scope.places), ("i", "", False))[0]
                report_differing(self._report, path, scope.copies, record.name, "data", missing)
        for record in copied.values():
            if self._named("user_data", record.name, path):
                self._made.user_data.append(record)
                self._made.places["user_data"].append(path)
        return True

    def _data(self, value: Any, path: Path, scope: Scope) -> Any:
        if isinstance(value, str):
            return scope.template(value, path, self._report)
        if isinstance(value, Mapping):
            return {key: self._data(item, (*path, key), scope) for key, item in value.items()}
        if isinstance(value, list):
            return [self._data(item, (*path, k), scope) for k, item in enumerate(value)]
        return value

    def _named(self, key: str, name: str, path: Path) -> bool:
        """Whether the name is good and new."""
        names, places = self._made.names[key], self._made.places[key]
        if fault := name_fault(name):
            self._report.error("bad-name", (*path, "name"), fault)
            names.excuse(name)
            return False
        first = names.positions.setdefault(name, len(places))
        if first < len(places):
            self._duplicate(f"{names.noun} name", name, (*path, "name"), places[first])
            return False
        return True

    def _duplicate(self, what: str, name: str, path: Path, first: Path) -> None:
        message = f"duplicate {what} {quoted(name)} (first at {first[0]}[{first[1]}])"
        self._report.error("duplicate-name", path, message)

    def _identifier(self, identifier: str, path: Path) -> None:
        at = (*path, "identifier")
        if not identifier or re.search(r"\s", identifier) or CONTROL.search(identifier):
            message = f"identifier {shown(identifier)} is empty or holds blanks; write a URI or a relative id"
            self._report.error("bad-value", at, message)
        elif identifier in self._identifiers:
            self._duplicate("identifier", identifier, at, self._identifiers[identifier])
        else:
            self._identifiers[identifier] = path

    def _unused(self, values: Mapping[str, Any], path: Path, scope: Scope) -> None:
        used = {column[0] for column in scope.places}
        for name in scope.parameters:
            if name not in used:
                own = name in (values["parameters"] or {})
                at = (*path, "parameters", name) if own else (*path, "use_parameters")
                message = f"no text of this object uses the parameter '{name}'"
                self._report.warning("unused-parameter", at, message)


def label_fault(label: str) -> str | None:
    """What is wrong with a label; None: nothing."""
    if 1 <= len(label) <= 64 and label == label.strip() and not CONTROL.search(label):
        return None
    return (
        f"label {shown(label)} must have 1 to 64 characters, no blanks at its ends and no control characters"
    )


def _many(number: int) -> str:
    # NOTE: Python refuses to print integers of more than 4,300 digits, and nobody reads that many
    return f"{number:,}" if number <= LARGEST else "more than 9,000,000,000,000,000,000"


def _size(data: Any) -> int:
    return 0 if data is None else len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())


def _moves(data: Any) -> bool:
    if isinstance(data, Mapping):
        return any(_moves(item) for item in data.values())
    if isinstance(data, list):
        return any(_moves(item) for item in data)
    return isinstance(data, Template)


def _filled(data: Any, row: Row) -> Any:
    if isinstance(data, Template):
        return data.fill(row)
    if isinstance(data, Mapping):
        return {key: _filled(item, row) for key, item in data.items()}
    if isinstance(data, list):
        return [_filled(item, row) for item in data]
    return data
