"""The copies of a job: what no parameter changes is shared, copies with one name are joined (steps 5 and 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torc_core.spec.complaint import Report
from torc_core.spec.document import Path
from torc_core.spec.tables import env_fault
from torc_core.spec.tokens import Row, Scope, Template, Text

TEXTS = (
    "name", "command", "invocation_script", "resource_requirements", "failure_handler", "scheduler", "label",
)  # fmt: skip
"""The fields of a job that are templates, in the order of a draft's texts."""

NAME, COMMAND, SCRIPT, REQUIREMENT, HANDLER, SCHEDULER, LABEL = range(7)

LISTS = (
    "depends_on", "depends_on_regexes",
    "input_files", "input_file_regexes", "output_files", "output_file_regexes",
    "input_user_data", "input_user_data_regexes", "output_user_data", "output_user_data_regexes",
)  # fmt: skip
"""The relations of a job, names and regexes by turns, in the order of a draft's lists."""

DEPENDS, IN_FILES, OUT_FILES, IN_DATA, OUT_DATA = range(0, 10, 2)

Names = tuple[str, ...]


class JobTemplate:
    """A job of the document, taken apart.

    Parameters
    ----------
    values
        As the tables read them.
    copied
        Whether it has parameters, so that complaints name the copy.
    """

    __slots__ = ("_kept", "copied", "env", "lists", "path", "texts", "values")

    def __init__(self, values: Mapping[str, Any], path: Path, scope: Scope, report: Report) -> None:
        self.values = values
        self.path = path
        self.copied = bool(scope.parameters)
        self.texts: list[Text | None] = [None] * len(TEXTS)
        for k, key in enumerate(TEXTS):
            if (text := values[key]) is not None:
                loose = k in (COMMAND, SCRIPT)
                take = scope.template if loose else scope.reference
                self.texts[k] = take(text, (*path, key), report)
        self.lists: list[tuple[Text, ...]] = [()] * len(LISTS)
        self._kept: dict[int, list[int]] = {}
        for k, key in enumerate(LISTS):
            if items := values[key]:
                taken: list[Text | None] = [
                    None
                    if item is None
                    else scope.template(item, (*path, key, j), report, regex=True)
                    if k % 2
                    else scope.reference(item, (*path, key, j), report)
                    for j, item in enumerate(items)
                ]
                self.lists[k] = tuple([item for item in taken if item is not None])
                if len(self.lists[k]) < len(taken):
                    self._kept[k] = [j for j, item in enumerate(taken) if item is not None]
        self.env: dict[str, Text] = {
            key: scope.template(text, (*path, "env", key), report)
            for key, text in (values["env"] or {}).items()
        }

    @property
    def moving_text(self) -> int:
        """Characters, about, that each further copy adds."""
        if not self.copied:
            return 0
        size = sum(text.size for text in (*self.texts, *self.env.values()) if isinstance(text, Template))
        for items in self.lists:
            if any(isinstance(item, Template) for item in items):
                size += sum(item.size if isinstance(item, Template) else 8 for item in items)
        return size

    def about(self, name: str | None) -> str | None:
        """Which copy is meant, where there may be several."""
        return f"job '{name}'" if self.copied else None

    def item(self, which: int, k: int) -> Path:
        """Where the k-th entry of a list stands in the document."""
        if k >= len(self.lists[which]):
            return (*self.path, LISTS[which])
        return (*self.path, LISTS[which], self._kept[which][k] if which in self._kept else k)


class Draft:
    """A job without parameters, whose relations are still names.

    `outputs` are positions of files and of user data, once they are resolved.
    """

    __slots__ = ("env", "lists", "outputs", "template", "texts")

    def __init__(
        self,
        template: JobTemplate,
        texts: tuple[str | None, ...],
        env: Mapping[str, str] | None,
        lists: tuple[Names, ...],
    ) -> None:
        self.template = template
        self.texts = texts
        self.env = env
        self.lists = lists
        self.outputs: tuple[Sequence[int], Sequence[int]] = ((), ())

    @property
    def name(self) -> str:
        """Unique among the jobs."""
        return self.texts[NAME] or ""

    @property
    def about(self) -> str | None:
        """Which copy this is, where there may be several."""
        return self.template.about(self.texts[NAME])


def copies(job: JobTemplate, scope: Scope, base_env: Mapping[str, str], report: Report) -> list[Draft]:
    """A draft for each combination of parameters; copies with one name become one."""
    moving = [(k, text) for k, text in enumerate(job.texts) if isinstance(text, Template)]
    moving_lists = [
        (k, items) for k, items in enumerate(job.lists) if any(isinstance(i, Template) for i in items)
    ]
    moving_env = any(isinstance(text, Template) for text in job.env.values())
    texts: list[Any] = list(job.texts)
    lists: list[Any] = list(job.lists)
    # PERF: what no parameter changes is one object for all copies, so that later steps look at it once
    env = None if moving_env else _env(job, (), base_env, report)
    constant = tuple(lists)
    by_name: dict[str | None, Draft] = {}
    joined = _Joined(job, report)
    for row in scope.rows():
        for k, text in moving:
            texts[k] = text.fill(row)
        for k, items in moving_lists:
            lists[k] = tuple([item if isinstance(item, str) else item.fill(row) for item in items])
        if moving_env:
            env = _env(job, row, base_env, report)
        draft = Draft(job, tuple(texts), env, tuple(lists) if moving_lists else constant)
        first = by_name.setdefault(texts[NAME], draft)
        if first is not draft:
            joined.add(first, draft)
    joined.finish()
    return list(by_name.values())


class _Joined:
    """Copies that have the name of another: their lists are united, all else has to be equal."""

    def __init__(self, job: JobTemplate, report: Report) -> None:
        self._job = job
        self._report = report
        self._lists: dict[str, tuple[Draft, list[dict[str, None]]]] = {}
        self._number: dict[str, int] = {}
        self._differ: dict[str, str] = {}

    def add(self, first: Draft, draft: Draft) -> None:
        name = draft.name
        self._number[name] = self._number.get(name, 1) + 1
        if name not in self._lists:
            self._lists[name] = (first, [dict.fromkeys(items) for items in first.lists])
        for united, items, old in zip(self._lists[name][1], draft.lists, first.lists, strict=True):
            if items is not old:
                united.update(dict.fromkeys(items))
        if first.texts != draft.texts:
            pairs = zip(TEXTS, first.texts, draft.texts, strict=True)
            self._differ.setdefault(name, next(key for key, one, other in pairs if one != other))
        elif first.env != draft.env:
            self._differ.setdefault(name, "env")

    def finish(self) -> None:
        for first, united in self._lists.values():
            first.lists = tuple([tuple(items) for items in united])
        for name, key in list(self._differ.items())[:1]:
            one = self._job.texts[TEXTS.index(key)] if key != "env" else None
            texts = self._job.env.values() if one is None else (one,)
            parts = [column[0] for text in texts if isinstance(text, Template) for column in text.columns]
            own = self._job.texts[NAME]
            named = {column[0] for column in own.columns} if isinstance(own, Template) else set()
            missing = next((part for part in parts if part not in named), parts[0])
            report_differing(self._report, self._job.path, self._number[name], name, key, missing)


def report_differing(report: Report, path: Path, number: int, name: str, key: str, missing: str) -> None:
    """Complain that copies have one name, but are not the same thing."""
    told = f"{number} copies are all named '{name}' but differ in {key}"
    report.error("duplicate-name", (*path, "name"), f"{told}; put {{{missing}}} into the name")


def _env(job: JobTemplate, row: Row, base: Mapping[str, str], report: Report) -> Mapping[str, str] | None:
    if not job.env:
        return base or None
    merged = {
        **base,
        **{key: text if isinstance(text, str) else text.fill(row) for key, text in job.env.items()},
    }
    fault = env_fault(merged)
    if fault:
        report.error("out-of-range", (*job.path, "env"), fault)
    return merged
