"""Every statement, built once, named after what it does. Executed as text: see `torc_sql.compiling`.

Parameters end in an underscore, since SQLAlchemy wants them to differ from the columns that are set.
"""

from __future__ import annotations

from torc_sql.statements import (
    actions,
    attempts,
    growth,
    keeping,
    liveness,
    permissions,
    records,
    relations,
    repairing,
    retries,
    runs,
    transfer,
    whole,
)

MODULES = (
    whole, attempts, relations, runs, records, liveness, actions, retries, growth, permissions, keeping, repairing, transfer,
)  # fmt: skip
"""Where the statements are."""
