"""Recounting what is counted beside the jobs (`engine.md` §18)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from torc_core.engine import telling
from torc_core.engine.release import recount
from torc_core.model import JobStatus
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.flow import claimable


def repair(change: Change) -> bool:
    """Set every counter of a workflow to what it has to be; whether one was not."""
    flow = change.flow
    tally = Counter(job.status for job in flow.jobs.values())
    statuses = [status for status in JobStatus if flow.tally[status] != tally[status]]
    flow.tally.update({status: tally[status] for status in statuses})
    sets = {
        group: real
        for group, members in flow.links.members.items()
        if (real := recount(flow.jobs[one].status for one in members)) != flow.links.counts[group]
    }
    flow.links.counts.update(sets)
    waiting = 0
    for job in list(flow.jobs.values()):
        unmet = sum(flow.links.counts[group][0] > 0 for group in flow.uses(job.id))
        if unmet != job.unmet:
            waiting += 1
            flow.put(replace(job, unmet=unmet))
    ready = Counter(flow.shapes[job.id] for job in flow.jobs.values() if claimable(job))
    classes = [line for shape, line in flow.lines.items() if line.count != ready[shape]]
    for line in classes:
        line.count = ready[line.shape]
    differs = {"statuses": len(statuses), "sets": len(sets), "waiting_jobs": waiting, "classes": len(classes)}
    if any(differs.values()):
        change.tell(telling.repair(**differs))
    return any(differs.values())
