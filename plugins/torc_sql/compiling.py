"""Turn the statements into the text that one kind of database executes: `python -m torc_sql.compiling sqlite FILE`.

Importing SQLAlchemy takes longer than a whole `torc status` may take (about 0.2 s against 0.25 s), so a plugin ships
the compiled text as a file beside its code and the running program reads that. A test holds the two equal.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

from sqlalchemy import (
    ClauseElement,
    CompoundSelect,
    Delete,
    Select,
    Table,
    TextClause,
    UpdateBase,
    bindparam,
    delete,
    insert,
    select,
    tuple_,
)
from sqlalchemy.dialects import registry
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from torc_sql import statements, tables

WIDTH = 110

_WHOLE = (Select, CompoundSelect, UpdateBase, TextClause)


def compiled(database: str) -> dict[str, str]:
    """Every statement by its name, for a database as SQLAlchemy calls it: `sqlite`, `postgresql`.

    Parameters are named (`:wf`), but for the `INSERT_…` of whole rows, which take the columns in table order.
    """
    dialect = registry.load(database)
    named, ordered = dialect(paramstyle="named"), dialect(paramstyle="qmark")
    texts = {
        f"INSERT_{table.name.upper()}": _text(insert(table), ordered)
        for table in tables.METADATA.sorted_tables
    }
    for table in tables.METADATA.sorted_tables:
        if "wf" in table.c:
            texts[f"PURGE_{table.name.upper()}"] = _text(_purge(table), named)
    for module in statements.MODULES:
        for name, statement in vars(module).items():
            if name.isupper() and name[0] != "_" and isinstance(statement, _WHOLE):
                texts[name] = _text(statement, named)
    return texts


def schema(database: str) -> list[str]:
    """The statements that make the present tables and indexes from nothing."""
    dialect = registry.load(database)()
    made: list[str] = []
    for table in tables.METADATA.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        made += [
            str(CreateIndex(index).compile(dialect=dialect))
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        ]
    return [" ".join(text.split()) for text in made]


def written(texts: dict[str, str]) -> str:
    """The file: a line `-- NAME` before each statement."""
    return "\n".join(f"-- {name}\n{_wrapped(text)}\n" for name, text in texts.items())


def _purge(table: Table) -> Delete:
    """Remove some rows of a workflow."""
    keys = list(table.primary_key)
    some = select(*keys).where(table.c.wf == bindparam("wf_")).limit(bindparam("limit_"))
    return delete(table).where((keys[0] if len(keys) == 1 else tuple_(*keys)).in_(some))


def _text(statement: ClauseElement, dialect: Dialect) -> str:
    """One line; constants that SQLAlchemy made parameters of are written out again."""
    done = statement.compile(dialect=dialect)
    text = " ".join(str(done).split())
    for name, value in done.params.items():
        if value is not None:
            text = re.sub(rf":{name}\b", repr(value), text)
    return text


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(written(compiled(sys.argv[1])), encoding="utf-8")
