"""The four readers by name, and how to ask one what is wrong with a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from torc_core.providers import SpecFormat
from torc_core.spec.complaint import Complaint, Complaints
from torc_core.spec.document import Plain
from torc_formats import torc_spec_formats


@pytest.fixture(scope="session")
def formats() -> dict[str, SpecFormat]:
    return {reader.name: reader for reader in torc_spec_formats()}


@pytest.fixture(scope="session")
def complaints(formats: dict[str, SpecFormat]) -> Callable[[str, str], tuple[Complaint, ...]]:
    """What a reader says about a text that it must refuse."""

    def ask(reader: str, text: str) -> tuple[Complaint, ...]:
        with pytest.raises(Complaints) as caught:
            formats[reader].load(text)
        return caught.value.complaints

    return ask


@pytest.fixture(scope="session")
def plain() -> Callable[[Any], Any]:
    """A tree without `Plain`: the value of each."""

    def unwrap(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: unwrap(item) for key, item in value.items()}
        if isinstance(value, list):
            return [unwrap(item) for item in value]
        return value.value if isinstance(value, Plain) else value

    return unwrap
