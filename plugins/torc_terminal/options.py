"""Kinds of options that many commands share."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
"""On when given; there is no `--no-…` form."""

Texts = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]
"""May be given several times."""

Yes = Annotated[Flag, Parameter(name=["--yes", "-y"], alias="--no-prompts")]
"""The user has confirmed already (C21)."""
