"""What a dead runner left is run again when its processes have ended, whoever takes it (I1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Field

STUBBORN = (
    "exec 9>lock; flock -n 9 || { echo twice >> twice; exit 1; }; trap '' TERM; echo x >> begun; "
    'test "$TORC_ATTEMPT_ID" = 2 || while :; do sleep 0.1; done'
)
"""A job that notes when another attempt of it is alive; a lock ends with the last process that has it."""


def test_what_is_resumed_has_ended_before_another_runner_takes_it(field: Field) -> None:
    account, root = field.account, field.account.root
    spec = account.spec("stubborn", [{"name": "j", "command": STUBBORN}])
    workflow = str(account.answer("--url", field.server.url, "create", spec)["workflow_id"])
    words = ("--url", field.server.url, "run", workflow, "-j", "1", "--progress", "none")
    first = account.popen(*words, "-o", "one")
    account.until((root / "begun").exists)
    other = account.popen(*words, "-o", "other", "--no-resume")
    account.until(lambda: "runner_started" in "".join(log.read_text() for log in root.glob("other/*.log")))

    first.kill()
    first.wait()
    third = account.popen(*words, "-o", "third")
    codes = [one.wait(60) for one in (other, third)]

    assert codes == [0, 0], [one.communicate() for one in (other, third)]
    assert not (root / "twice").exists()
    assert field.statuses(int(workflow)) == {"completed": 1}
