"""Layered settings: defaults < system < user < project < environment < command line; each value knows its source."""

from __future__ import annotations

from torc_core.config.choice import Choice
from torc_core.config.layers import Config, check_file, find_key, user_config
from torc_core.config.source import Entry, Layer, Problem, Source

__all__ = ["Choice", "Config", "Entry", "Layer", "Problem", "Source", "check_file", "find_key", "user_config"]
