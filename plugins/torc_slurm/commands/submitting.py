"""The work of `torc submit`: a workflow, new or known, gets the nodes that are due."""

from __future__ import annotations

from torc_core.model import Json, Plan, Workflow
from torc_core.session import Session
from torc_slurm.submission.due import schedulers_of, scheduling
from torc_slurm.submission.rehearsing import of_actions, of_plan, rehearsed
from torc_slurm.submission.starting import actions_of, keep_terms, made_ready, refuse_no_nodes, submitted
from torc_slurm.submission.telling import told
from torc_slurm.submission.terms import Terms, options, reachable
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import plain
from torc_terminal.remembered import remember
from torc_terminal.selector import found
from torc_terminal.serving import served

PLACEHOLDER = "http://HOST:PORT/torc-service/v1"
"""Stands for the address of a server that a dry run does not start."""


def submission(
    session: Session,
    text: str,
    plan: Plan | None,
    *,
    output_dir: str,
    poll_interval: int,
    max_parallel_jobs: int | None,
    keep_scripts: bool,
    ignore_missing_data: bool,
    dry_run: bool,
) -> Report:
    """Submit a workflow.

    Parameters
    ----------
    text
        Selector of the workflow, if there is no plan.
    plan
        Of the workflow that is made for it.
    """
    said = options(
        api_url="", output_dir=output_dir, poll_interval=poll_interval, max_parallel_jobs=max_parallel_jobs,
        keep_submission_scripts=keep_scripts,
    )  # fmt: skip
    if dry_run:
        return _rehearsal(session, text, plan, said)
    # NOTE: an embedded store gets its server before anything is made in it.
    url = reachable(served(session).url)
    store = session.store()
    if plan is not None:
        workflow = store.create(plan, session.user())
        remember(session.config.environ, [(workflow.id, workflow.name)])
        session.note(f"created workflow {workflow.id} '{plain(workflow.name)}'")
    else:
        workflow = found(session, text)
        if not actions_of(store, workflow.id):
            raise refuse_no_nodes(workflow)
    made_ready(session, store, workflow.id, ignore_missing_data=ignore_missing_data)
    workflow = keep_terms(store, store.get(Workflow, workflow.id), {**said, "api_url": url})
    try:
        results, before = submitted(session, store, workflow, url)
    except KeyboardInterrupt:
        session.note(f"interrupted; to go on: torc submit {workflow.id}")
        raise
    return told(workflow.id, results, schedulers_of(store, workflow.id), before)


def _rehearsal(session: Session, text: str, plan: Plan | None, said: dict[str, Json]) -> Report:
    from dataclasses import replace

    url = session.config.store_url
    known = url if url.startswith(("http://", "https://")) else PLACEHOLDER
    if plan is not None:
        workflow, requests = of_plan(plan)
        store_id = "STORE"
    else:
        store = session.store()
        workflow = found(session, text)
        actions = actions_of(store, workflow.id)
        if not actions:
            raise refuse_no_nodes(workflow)
        due = [one for one in store.due_actions(workflow.id) if scheduling(one)]
        requests = of_actions(actions, due, schedulers_of(store, workflow.id))
        store_id = store.server_id
    workflow = replace(workflow, submit_options={**said, "api_url": known})
    return rehearsed(workflow, requests, Terms.of(workflow, session.config, None), store_id)
