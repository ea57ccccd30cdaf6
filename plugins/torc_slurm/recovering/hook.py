"""A command of the user that is asked about failures of which torc does not know the cause (`slurm.md` §10, step 5)."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from torc_core.errors import TorcError
from torc_terminal.distance import distant

if TYPE_CHECKING:
    from torc_core.model import WorkflowId
    from torc_core.session import Session


class HookFailed(TorcError):
    """the recovery hook failed"""


def ask(session: Session, command: str, workflow: WorkflowId, run_id: int) -> None:
    """Run the command with the workflow as its last argument; what it writes goes to standard error.

    The store is closed meanwhile, so that the command may use torc.

    Raises
    ------
    HookFailed
        If it does not end with 0.
    """
    far = distant(session.store())
    environ = {**session.config.environ, "TORC_WORKFLOW_ID": str(workflow), "TORC_RUN_ID": str(run_id)}
    if far is not None:
        environ["TORC_API_URL"] = far.url
    session.close()
    sys.stderr.flush()
    words = ["bash", "-c", f'{command} "$@"', "torc-recovery-hook", str(workflow)]
    try:
        done = subprocess.run(words, env=environ, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    except OSError as error:
        raise HookFailed(f"the recovery hook '{command}' cannot be started: {error.strerror}") from error
    if done.returncode:
        raise HookFailed(f"the recovery hook '{command}' ended with {done.returncode}; nothing was recovered")
