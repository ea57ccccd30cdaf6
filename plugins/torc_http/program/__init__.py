"""The program `torc-server`, which is also `torc server`."""

from __future__ import annotations

from cyclopts import App

app = App(
    name="server", help="Serve a database to runners, scripts and dashboards, on this host and on others."
)

for _name, _text in (
    ("run", "Serve until told to stop."),
    ("stop", "Stop the server of a database."),
    ("status", "Tell whether a database is served, by whom and where."),
    ("backup", "Copy a database, also while it is served."),
    ("export", "Write workflows into a file that another server takes in."),
):
    app.command(f"torc_http.program.{_name}:{_name}", name=_name, help=_text)

for _name, _text in (
    ("token", "Credentials for programs that cannot prove a key."),
    ("key", "The key by which server and programs know each other."),
    ("service", "Have the system start the server and keep it running."),
):
    app.command(f"torc_http.program.{_name}:app", name=_name, help=_text)
