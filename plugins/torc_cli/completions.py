"""`torc completions`: what a shell needs to complete commands, options and their values."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from cyclopts import App

from torc_core.given import Answer, Given
from torc_terminal.options import Flag

Shell = Literal["bash", "zsh", "fish", "elvish", "powershell"]

NEXT = {
    "bash": "start a new shell, or: source {path}",
    "zsh": "put 'fpath=({folder} $fpath)' before compinit in ~/.zshrc and start a new shell",
    "fish": "start a new shell",
    "elvish": "put 'eval (slurp < {path})' into your rc.elv and start a new shell",
    "powershell": "put '. {path}' into your profile and start a new shell",
}
"""What is left to do after the script was written."""


def completions_of(app: App) -> Callable[..., Answer]:
    """The command for this program: the script is made from its commands, those of plugins included."""

    def completions(shell: Shell, /, *, install: Flag = False, session: Given) -> Answer:
        """Print or install the completion script of a shell.

        Parameters
        ----------
        shell
            Which shell.
        install
            Write the script where the shell looks for it, instead of printing it.
        """
        from torc_cli.completion_scripts import script
        from torc_terminal.output.answer import Outcome, Text, refuse_csv

        if not install:
            return Text(text=script(app, shell))
        refuse_csv(session)
        path = written(app, shell)
        return Outcome(
            message=f"Wrote {path}",
            extra={"path": path, "shell": shell},
            hint=NEXT[shell].format(path=path, folder=path.rpartition("/")[0]),
        )

    return completions


def written(app: App, shell: Shell) -> str:
    """Write the script into the user's completion folder, and say where.

    Raises
    ------
    Conflict
        If the folder cannot be written to.
    """
    from cyclopts.completion.install import get_default_completion_path

    from torc_cli.completion_scripts import script
    from torc_core.errors import Conflict

    try:
        if shell == "elvish":
            path = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "elvish/lib/torc.elv"
        else:
            path = get_default_completion_path(shell, "torc")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script(app, shell), encoding="utf-8")
    except OSError as error:
        said = (error.strerror or "error").lower()
        raise Conflict(
            f"cannot write '{error.filename}': {said}; print the script instead, without --install"
        ) from error
    return str(path)
