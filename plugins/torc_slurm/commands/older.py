"""Older spellings of `torc submit` (`cli.md` §8)."""

from __future__ import annotations

import logging
from functools import wraps
from typing import Any

from torc_core.given import Answer
from torc_slurm.commands.submit import submit

LOG = logging.getLogger(__name__)


@wraps(submit)
def submit_slurm(*args: Any, **options: Any) -> Answer:
    """Plan the allocations of a specification, and ask for them."""
    LOG.debug("older spelling: 'torc submit-slurm' is now 'torc submit --generate'")
    return submit(*args, **{**options, "generate": True})


@wraps(submit)
def workflows_submit(*args: Any, **options: Any) -> Answer:
    """Ask Slurm for the nodes of a workflow."""
    LOG.debug("older spelling: 'torc workflows submit' is now 'torc submit'")
    return submit(*args, **options)
