"""What a failure handler makes of a bad end: another attempt, a recovery script first, or the end (`engine.md` §9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torc_core.engine.runs import AGAIN
from torc_core.errors import Invalid, did_you_mean
from torc_core.model import JobStatus, Json
from torc_core.record import record

RECOVERY_FAILED = "recovery_failed"
"""Reason of the end of a job whose recovery script failed."""

NO_SCRIPT = "exit 1"
"""What is ordered again for a job whose rule is gone since: a script that fails."""

RETRIABLE = (JobStatus.FAILED, JobStatus.TERMINATED)
"""Ends that a handler is asked about."""

Rules = Sequence[Mapping[str, Any]]

_DEFAULTS: Mapping[str, Json] = {
    "exit_codes": (), "match_all_exit_codes": False, "recovery_script": None, "max_retries": 3, "delay_seconds": 0,
    "backoff_multiplier": 2.0, "max_delay_seconds": 3600,
}  # fmt: skip


@record(frozen=True, slots=True, kw_only=True)
class Retry:
    """What is to be done about a bad end.

    Parameters
    ----------
    again
        The job becomes ready with its next attempt, `delay_ms` from now.
    script
        It stays with its runner, which runs this script first.
    status
        It ends so, instead of as reported; None: as reported.
    lost
        The attempt counts as lost with its node.
    limit
        The greatest attempt number that the rule leads to.
    """

    again: bool = False
    delay_ms: int = 0
    script: str | None = None
    status: JobStatus | None = None
    lost: bool = False
    limit: int = 0


def decide(
    rules: Rules,
    status: JobStatus,
    return_code: int,
    reason: str | None,
    *,
    attempt_id: int,
    losses: int = 0,
    retry_on_node_loss: int = 0,
    use_pending_failed: bool = False,
) -> Retry:
    """Decide about an attempt that its runner has reported (`engine.md` §9).

    `rules` are those of the job's handler, empty if it has none.
    """
    if status not in RETRIABLE:
        return Retry()
    if reason == "runner_died" and losses < retry_on_node_loss:
        return Retry(again=True, lost=True)
    rule = chosen(rules, return_code)
    if rule is None:
        own_end = (reason or "").partition(":")[0] not in AGAIN
        return Retry(status=JobStatus.PENDING_FAILED if use_pending_failed and own_end else None)
    if attempt_id >= rule["max_retries"]:
        return Retry()
    script = rule.get("recovery_script")
    if script and reason in AGAIN:
        return Retry()
    again = not script
    return Retry(
        again=again, script=script or None, delay_ms=delay_ms(rule, attempt_id) if again else 0,
        limit=rule["max_retries"],
    )  # fmt: skip


def after_script(rules: Rules, return_code: int, attempt_id: int) -> Retry:
    """What follows when a recovery script has ended well: the rule's delay, even if the rule was changed since."""
    rule = chosen(rules, return_code)
    if rule is None:
        return Retry(again=True)
    return Retry(again=True, delay_ms=delay_ms(rule, attempt_id), limit=rule["max_retries"])


def chosen(rules: Rules, return_code: int) -> Mapping[str, Any] | None:
    """The first rule that lists the code, else the first that matches all; with its defaults filled in."""
    for rule in rules:
        if return_code in (rule.get("exit_codes") or ()):
            return {**_DEFAULTS, **rule}
    for rule in rules:
        if rule.get("match_all_exit_codes"):
            return {**_DEFAULTS, **rule}
    return None


def delay_ms(rule: Mapping[str, Any], attempt_id: int) -> int:
    """How long the attempt after this one waits: min(max_delay, delay x backoff^(attempt - 1)), in milliseconds."""
    delay, most = rule["delay_seconds"], rule["max_delay_seconds"]
    if not delay:
        return 0
    try:
        grown = float(delay) * float(rule["backoff_multiplier"]) ** (attempt_id - 1)
    except OverflowError:
        grown = float(most)
    return round(min(float(most), grown) * 1000)


def told(return_code: int, after: int, retry: Retry) -> str:
    """Why a job is tried again, for its event."""
    of = f" of {retry.limit}" if retry.limit else ""
    later = f", in {retry.delay_ms / 1000:g} s" if retry.delay_ms else ""
    return f"exit code {return_code}: attempt {after}{of}{later}"


def checked_rules(rules: Any) -> list[Mapping[str, Json]]:
    """Rules with their defaults filled in (`workflow-spec.md` §7).

    Raises
    ------
    Invalid
        The sentence names the position and the value.
    """
    if not isinstance(rules, (list, tuple)) or not rules:
        raise Invalid("rules has to be a list of at least one rule")
    return [_rule(rule, f"rules[{position}]") for position, rule in enumerate(rules)]


def _rule(rule: Any, at: str) -> Mapping[str, Json]:
    if not isinstance(rule, Mapping):
        raise Invalid(f"{at} has to be an object, got {rule!r}")
    for name in rule:
        if name not in _DEFAULTS:
            raise Invalid(f"{at} knows no {name!r}{did_you_mean(str(name), _DEFAULTS)}")
    got = {**_DEFAULTS, **{name: value for name, value in rule.items() if value is not None}}
    codes = got["exit_codes"]
    if not isinstance(codes, (list, tuple)):
        raise Invalid(f"{at}.exit_codes has to be a list of numbers, got {codes!r}")
    for position, code in enumerate(codes):
        if not _whole(code) or not -128 <= code <= 255 or code == 0:
            raise Invalid(f"{at}.exit_codes[{position}] has to be from -128 to 255 and not 0, got {code!r}")
    if not isinstance(got["match_all_exit_codes"], bool):
        raise Invalid(
            f"{at}.match_all_exit_codes has to be true or false, got {got['match_all_exit_codes']!r}"
        )
    for name in ("max_retries", "delay_seconds", "max_delay_seconds"):
        if not _whole(got[name]) or got[name] < 0:
            raise Invalid(f"{at}.{name} has to be a whole number from 0 on, got {got[name]!r}")
    factor = got["backoff_multiplier"]
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not factor >= 1:
        raise Invalid(f"{at}.backoff_multiplier has to be a number from 1 on, got {factor!r}")
    script = got["recovery_script"]
    if script is not None and (not isinstance(script, str) or not script or "\0" in script):
        raise Invalid(f"{at}.recovery_script has to be a command, got {script!r}")
    if not codes and not got["match_all_exit_codes"]:
        raise Invalid(f"{at} matches nothing; give exit_codes or match_all_exit_codes: true")
    return {**got, "exit_codes": list(codes)}


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
