"""`torc job-dependencies`: which jobs wait for which, and the files and user data between them."""

from __future__ import annotations

from cyclopts import App

from torc_core.given import Given
from torc_core.model import JobDependency, JobFile, JobUserData
from torc_terminal.output.answer import Listing
from torc_terminal.output.cells import Column
from torc_terminal.output.records import job_dependency_item, job_file_item, job_user_data_item
from torc_terminal.paging import WHOLE, Paging, check_sort
from torc_terminal.selector import workflow as selected

app = App(
    name="job-dependencies", help="Which jobs wait for which, and the files and user data between them."
)

PRODUCER = (
    Column(title="Producer ID", key="producer_job_id", right=True),
    Column(title="Producer", key="producer_job_name"),
)
CONSUMER = (
    Column(title="Consumer ID", key="consumer_job_id", right=True),
    Column(title="Consumer", key="consumer_job_name"),
)


@app.command
def job_job(workflow: str | None = None, /, *, paging: Paging = WHOLE, session: Given) -> Listing:
    """List which job waits for which.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    """
    wf = selected(session, workflow)
    query = paging.query(wf)
    check_sort(JobDependency, query, "torc.job-dependencies.job-job/1")
    page = session.store().find(JobDependency, query)
    return Listing(
        schema="torc.job-dependencies.job-job/1",
        noun="dependencies",
        items=[job_dependency_item(pair) for pair in page.items],
        columns=(
            Column(title="Job ID", key="job_id", right=True),
            Column(title="Job", key="job_name"),
            Column(title="Waits for ID", key="depends_on_job_id", right=True),
            Column(title="Waits for", key="depends_on_job_name"),
        ),
        total=page.total,
        offset=page.offset,
    )


@app.command
def job_file(workflow: str | None = None, /, *, paging: Paging = WHOLE, session: Given) -> Listing:
    """List the files between jobs: one line for each writer and reader.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    """
    wf = selected(session, workflow)
    query = paging.query(wf)
    check_sort(JobFile, query, "torc.job-dependencies.job-file/1")
    page = session.store().find(JobFile, query)
    return Listing(
        schema="torc.job-dependencies.job-file/1",
        noun="files between jobs",
        items=[job_file_item(pair) for pair in page.items],
        columns=(
            Column(title="File ID", key="file_id", right=True),
            Column(title="File", key="file_name"),
            Column(title="Path", key="file_path"),
            *PRODUCER,
            *CONSUMER,
        ),
        total=page.total,
        offset=page.offset,
    )


@app.command
def job_user_data(workflow: str | None = None, /, *, paging: Paging = WHOLE, session: Given) -> Listing:
    """List the user data between jobs: one line for each writer and reader.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    """
    wf = selected(session, workflow)
    query = paging.query(wf)
    check_sort(JobUserData, query, "torc.job-dependencies.job-user-data/1")
    page = session.store().find(JobUserData, query)
    return Listing(
        schema="torc.job-dependencies.job-user-data/1",
        noun="user data between jobs",
        items=[job_user_data_item(pair) for pair in page.items],
        columns=(
            Column(title="Data ID", key="user_data_id", right=True),
            Column(title="User data", key="user_data_name"),
            *PRODUCER,
            *CONSUMER,
        ),
        total=page.total,
        offset=page.offset,
    )
