"""Addresses that carry a right: for a job, for a workflow (`security.md` O2). Derived, so that no table keeps them."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from torc_core.model import Assignment
from torc_core.record import record
from torc_http.auth.encoding import Signer, as_bytes, as_number, as_text, mac, same

MAC_BYTES = 24

AFTERWARDS_MS = 10 * 60_000
"""How long a job's capability is good after its attempt has ended."""

LONGEST_DAYS = 30

CLASSES = ("read", "edit", "run", "operate", "own")
"""What a token may be limited to, the least first."""

LONGEST = 200
"""Characters of a capability."""


@record(frozen=True, slots=True, kw_only=True)
class JobCapability:
    """May read and edit the workflow of one attempt of a job, and spawn in its name."""

    workflow: int
    job: int
    run: int
    attempt: int
    generation: int


@record(frozen=True, slots=True, kw_only=True)
class WorkflowCapability:
    """May do in one workflow what its class allows; `expires` in seconds since 1970."""

    workflow: int
    access_class: Literal["read", "edit", "run", "operate", "own"]
    expires: int
    generation: int


Capability = JobCapability | WorkflowCapability


def of_attempt(secret: bytes, given: Assignment) -> str | None:
    """What an attempt gets to speak to the store with; None: it may not."""
    if given.api_access == "none":
        return None
    job = given.job
    return written(
        secret,
        JobCapability(
            workflow=job.workflow_id,
            job=job.id,
            run=job.run_id,
            attempt=job.attempt_id,
            generation=given.generation,
        ),
    )


def written(secret: bytes, capability: Capability) -> str:
    """A capability as it stands in an address."""
    words = _words(capability)
    return ".".join((*words, as_text(_mac(secret, words))))


def parsed(text: str) -> tuple[Capability, bytes] | None:
    """What a text claims to be, and its mac, not checked; None if it is none."""
    if len(text) > LONGEST or not text.isascii():
        return None
    *words, last = text.split(".")
    told = as_bytes(last)
    capability = _capability(words)
    if told is None or len(told) != MAC_BYTES or capability is None:
        return None
    return capability, told


def read(secrets: tuple[bytes, ...], text: str) -> Capability | None:
    """The capability, if one of these secrets made it; whether it is still good, its workflow tells."""
    claim = parsed(text)
    if claim is None:
        return None
    capability, told = claim
    words = _words(capability)
    # NOTE: all are compared, so that the time does not tell which.
    right = [same(told, _mac(secret, words)) for secret in secrets]
    return capability if any(right) else None


def _mac(secret: bytes, words: tuple[str, ...]) -> bytes:
    return _derived(secret).mac(*words)[:MAC_BYTES]


@lru_cache(maxsize=8)
def _derived(secret: bytes) -> Signer:
    # PERF: every job that is given out gets a capability.
    return Signer(mac(secret, "capability"))


def _words(one: Capability) -> tuple[str, ...]:
    if isinstance(one, JobCapability):
        return ("j", *map(str, (one.workflow, one.job, one.run, one.attempt, one.generation)))
    return ("w", str(one.workflow), one.access_class, str(one.expires), str(one.generation))


def _capability(words: list[str]) -> Capability | None:
    match words:
        case ["j", *rest]:
            numbers = [as_number(one) for one in rest]
            if len(numbers) != 5 or None in numbers:
                return None
            workflow, job, run, attempt, generation = (one or 0 for one in numbers)
            return JobCapability(workflow=workflow, job=job, run=run, attempt=attempt, generation=generation)
        case ["w", first, "read" | "edit" | "run" | "operate" | "own" as level, until, raised]:
            workflow_, expires, age = as_number(first), as_number(until), as_number(raised)
            if workflow_ is None or expires is None or age is None:
                return None
            return WorkflowCapability(workflow=workflow_, access_class=level, expires=expires, generation=age)
    return None
