"""Whatever becomes of the answer to a start, the truth about the worker is found out (`remote.md` RW16)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from torc_ssh.commands import launching
from torc_ssh.commands.calling import HostTrouble
from torc_ssh.commands.launching import asked_until_known
from torc_ssh.trouble import Lost, Unreachable

STARTED = {"status": "started", "pid": 7}


class Machine:
    """A host that answers so, one time after the other."""

    name = "w1"

    def __init__(self, *answers: Mapping[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Mapping[str, Any]] = []

    def ask(
        self, action: str, request: Mapping[str, Any], deadline: float | None = None
    ) -> Mapping[str, Any]:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "PAUSE", 0.01)


@pytest.mark.parametrize(
    "cut", [Lost("w1", "connection lost"), HostTrouble("torc on w1 gave no answer", "no_answer")]
)
def test_who_gets_no_answer_asks_again_for_the_same(cut: Exception) -> None:
    machine: Any = Machine(cut, STARTED)
    request = {"start_id": "s"}

    told = asked_until_known(machine, request)

    assert (told, machine.asked) == (STARTED, [request, request])


def test_a_host_that_never_answers_is_told_as_it_is() -> None:
    machine: Any = Machine(*[HostTrouble("torc on w1 gave no answer", "no_answer")] * 9)

    with pytest.raises(HostTrouble, match="whether a worker runs there is not known"):
        asked_until_known(machine, {})


def test_a_host_without_torc_is_not_asked_again() -> None:
    machine: Any = Machine(HostTrouble("torc not found", "missing"))

    with pytest.raises(HostTrouble, match="torc not found"):
        asked_until_known(machine, {})


def test_a_host_that_cannot_be_reached_at_all_is_not_asked_again() -> None:
    machine: Any = Machine(Unreachable("w1", "Connection refused"))

    with pytest.raises(Unreachable, match=r"Connection refused$"):
        asked_until_known(machine, {})
