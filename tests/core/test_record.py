"""Records behave as frozen, slotted dataclasses do."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any

import pytest

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Base:
    """A record with every kind of default."""

    id: int
    name: str = "x"
    tags: list[str] = field(default_factory=list, metadata={"help": "words"})


@record(frozen=True, slots=True, kw_only=True)
class Derived(Base):
    """A record with more."""

    more: int = 0

    @property
    def twice(self) -> int:
        """Twice the more."""
        return 2 * self.more


@record(frozen=True, slots=True)
class Pair:
    """A record that is made by position."""

    left: int
    right: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """What the standard library makes of the same fields."""

    id: int
    name: str = "x"
    tags: list[str] = field(default_factory=list)


def test_fields_defaults_and_text_are_those_of_a_dataclass() -> None:
    assert [f.name for f in fields(Derived)] == ["id", "name", "tags", "more"]
    assert fields(Base)[2].metadata["help"] == "words"
    assert repr(Base(id=1)) == repr(Standard(id=1)).replace("Standard", "Base")
    assert asdict(Base(id=1)) == asdict(Standard(id=1))
    assert Base(id=1).tags is not Base(id=1).tags
    assert Pair(1) == Pair(left=1, right=2)
    assert Derived(id=1, more=3).twice == 6


def test_equality_and_hash_go_by_class_and_fields() -> None:
    assert Pair(1, 2) == Pair(1, 2)
    assert hash(Pair(1, 2)) == hash(Pair(1, 2))
    assert Pair(1, 2) != Pair(2, 1)
    assert Base(id=1) != Derived(id=1)


def test_nothing_can_be_assigned_deleted_or_added() -> None:
    pair: Any = Pair(1)

    for name in ("left", "other"):
        with pytest.raises(FrozenInstanceError):
            setattr(pair, name, 5)
    with pytest.raises(FrozenInstanceError):
        del pair.left
    assert not hasattr(pair, "__dict__")


@pytest.mark.parametrize("wrong", [{}, {"id": 1, "nmae": "y"}])
def test_missing_and_unknown_fields_are_refused_as_by_any_function(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"Base.__init__\(\) (missing|got an unexpected)"):
        Base(**wrong)


def test_records_are_replaced_copied_and_pickled() -> None:
    derived = Derived(id=1, more=2, tags=["a"])

    assert replace(derived, name="y") == Derived(id=1, more=2, tags=["a"], name="y")
    assert copy.deepcopy(derived) == derived
    assert pickle.loads(pickle.dumps(derived)) == derived
