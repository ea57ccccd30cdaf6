"""Lists: what can be asked, and the envelope of the answer (`wire.md` T10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from marshmallow import Schema

from torc_core.errors import Invalid, did_you_mean
from torc_core.model import Page, Query, WorkflowId
from torc_core.store.fields import FIELDS
from torc_http.wire.fields import Flag, Id, Int, Kind, Name, Parts, Plain, Text, schema_name

MOST = 100_000
"""Records of one page; larger limits are cut."""

USUAL = 10_000
"""Records of a page when nothing is said."""


class Paging(Schema):
    """A part of a list."""

    offset = Int(minimum=0, load_default=0)
    limit = Int(minimum=1, load_default=USUAL)


class Sorting(Paging):
    """A part of a sorted list."""

    sort_by = Text(longest=100)
    reverse_sort = Flag()


class OfWorkflow(Sorting):
    """A part of a list of records of one workflow."""

    workflow_id = Id(required=True)


class WholeWorkflow(Schema):
    """All records of one workflow."""

    workflow_id = Id(required=True)


class Count(Schema):
    """How many records were removed."""

    model = "DeleteCountResponse"

    count = Int(minimum=0, required=True)


class Removed(Schema):
    """How many records were removed, in words too."""

    model = "DeletedResponse"

    count = Int(minimum=0, required=True)
    deleted_count = Int(minimum=0, required=True)
    message = Text(required=True)


class Message(Schema):
    """A sentence."""

    model = "MessageResponse"

    message = Text(required=True)


@cache
def listing(item: type[Schema], model: str | None = None) -> type[Schema]:
    """The schema of a list of such objects."""
    fields: dict[str, Any] = {
        "model": model or f"List{_plural(schema_name(item).removesuffix('Model'))}Response",
        "items": Parts(item, required=True),
        "offset": Int(required=True),
        "limit": Int(required=True),
        "max_limit": Int(required=True),
        "count": Int(required=True),
        "total_count": Int(required=True),
        "has_more": Flag(required=True),
    }
    return type(fields["model"], (Schema,), {"__doc__": f"A page of {schema_name(item)}.", **fields})


def _plural(noun: str) -> str:
    if noun.endswith(("s", "Data")):
        return noun
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


def envelope(items: Sequence[Plain], total: int, offset: int, limit: int) -> Mapping[str, Plain]:
    """A page as it is sent: the union of both published shapes."""
    count = len(items)
    return {
        "items": items,
        "offset": offset,
        "limit": limit,
        "max_limit": MOST,
        "count": count,
        "total_count": total,
        "has_more": count > 0 and offset + count < total,
    }


def limit_of(query: Mapping[str, Any]) -> int:
    """The limit of a page, cut to what is possible."""
    return int(min(query["limit"], MOST))


def sortable(kind: type[Any], schema: type[Schema]) -> Mapping[str, str]:
    """The names on the wire that a list can be sorted by, with the fields of the record."""
    plain = FIELDS[kind].plain
    fields = schema().fields.items()
    return {
        name: str(field.attribute or name) for name, field in fields if (field.attribute or name) in plain
    }


def sort_of(kind: type[Any], schema: type[Schema], query: Mapping[str, Any]) -> tuple[str, bool]:
    """By which field, and in which direction.

    Raises
    ------
    Invalid
        If the list cannot be sorted so; the sentence lists the fields.
    """
    name = query.get("sort_by")
    reverse = bool(query.get("reverse_sort", False))
    if name is None:
        return "id", reverse
    names = sortable(kind, schema)
    if name not in names:
        choices = ", ".join(sorted(names)) or "nothing"
        raise Invalid(
            f"parameter sort_by: {FIELDS[kind].noun}s cannot be sorted by '{name}'{did_you_mean(name, names)} "
            f"(choose from {choices})",
            details={"field": "sort_by", "value": name},
        )
    return names[name], reverse


def asked(
    kind: type[Any],
    schema: type[Schema],
    query: Mapping[str, Any],
    workflow: int | None,
    where: Mapping[str, Any],
    like: Mapping[str, str] | None = None,
) -> Query:
    """The query of a list."""
    sort, reverse = sort_of(kind, schema, query)
    return Query(
        workflow=None if workflow is None else WorkflowId(workflow),
        where={name: value for name, value in where.items() if value is not None},
        like=like or {},
        sort=sort,
        reverse=reverse,
        offset=query["offset"],
        limit=limit_of(query),
    )


def inside(text: str) -> str:
    """The shell pattern of everything that holds this text, taken literally."""
    return "*" + "".join(f"[{one}]" if one in "*?[" else one for one in text) + "*"


def page_of(found: Page[Any], items: Sequence[Plain], query: Mapping[str, Any]) -> Mapping[str, Plain]:
    """The answer to a list."""
    return envelope(items, found.total, query["offset"], limit_of(query))


__all__ = [
    "MOST", "USUAL", "Count", "Kind", "Message", "Name", "OfWorkflow", "Paging", "Removed", "Sorting", "WholeWorkflow",
    "asked", "envelope", "inside", "limit_of", "listing", "page_of", "sort_of", "sortable",
]  # fmt: skip
