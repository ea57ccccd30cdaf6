"""The command line as an object, for the page that documents it."""

from __future__ import annotations

from cyclopts import App

from torc_core.config import Config
from torc_core.host import Host

app = App(name="torc", help="Run many jobs on many machines: workflows, command lists, single commands.")
Host.load(Config.load()).manager.hook.torc_commands(app=app)
