"""What this cluster's profile and its Slurm say about internal names of hosts (`slurm.md` HN1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torc_slurm.profiles.detection import here
from torc_slurm.scheduler.slurm import Slurm
from torc_terminal.internal_names import Hints

if TYPE_CHECKING:
    from torc_core.config import Config
    from torc_core.protocols import Clock

PATIENCE = 10.0
"""Seconds that scontrol may take."""

_CONTROLLER = re.compile(
    r"^\s*(?:SlurmctldHost\S*|ControlMachine|ControlAddr)\s*=\s*([^\s(]+)(?:\(([^)]+)\))?", re.MULTILINE
)


def hints(config: Config, clock: Clock) -> Hints:
    """What is known; Slurm is asked once, if it is here."""
    profile = here(config)
    form = None if profile is None else profile.internal_hostname
    slurm = Slurm.of(config, clock)
    controller = None
    if slurm.here("scontrol"):
        done = slurm.ran("scontrol", "show", "config", limit=PATIENCE, patience=PATIENCE)
        controller = controller_of(done.out) if done.code == 0 else None
    return Hints(templates=[] if form is None else [form], controller=controller)


def controller_of(text: str) -> str | None:
    """The host of the controller, in what `scontrol show config` prints: its address where one is given."""
    for found in _CONTROLLER.finditer(text):
        name = found[2] or found[1]
        if name not in ("(null)", "localhost"):
            return name
    return None
