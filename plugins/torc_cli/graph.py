"""`torc workflows graph`: a picture of what waits for what."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from torc_core.given import Given
from torc_terminal.output.answer import Report, Text
from torc_terminal.standing import amount

View = Literal["jobs", "files", "user-data"]
Format = Literal["dot", "mermaid", "json", "svg"]


def graph(
    what: str | None = None,
    /,
    *,
    view: View = "jobs",
    format: Annotated[Format | None, Parameter(name=["--format", "-f"])] = None,
    collapse: Literal["auto", "none"] = "auto",
    session: Given,
) -> Report | Text:
    """Draw a workflow: what waits for what, jobs of one kind as one where there are many.

    Parameters
    ----------
    what
        Specification, id of a workflow, or `last`.
    view
        Only jobs, or jobs with the files or the user data between them.
    format
        For Graphviz (dot, the default), for Mermaid, as JSON, or as SVG.
    collapse
        Whether jobs whose names differ only in numbers become one when there are more than 200.
    """
    from torc_cli import drawing
    from torc_cli.dag_source import dag_from
    from torc_core.engine.graph import document, picture

    dag, source = dag_from(session, what)
    drawn = picture(dag, view, collapse=None if collapse == "auto" else False)
    if drawn.omitted_nodes or drawn.omitted_edges:
        session.warn(
            f"{amount(drawn.omitted_nodes, 'node')} and {amount(drawn.omitted_edges, 'edge')} are too many to be drawn and left out"
        )
    wanted = format or ("json" if session.format == "json" else "dot")
    if wanted == "svg":
        return Text(text=drawing.svg(dag.name, drawn))
    if wanted == "mermaid":
        return Text(text=drawing.mermaid(drawn))
    if wanted == "dot":
        return Text(text=drawing.dot(dag.name, drawn))
    session.format = "json"
    return Report(schema="torc.workflows.graph/1", data=document(dag, view, drawn, source))
