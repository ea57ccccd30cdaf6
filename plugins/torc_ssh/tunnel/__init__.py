"""Leads workers to a server that they cannot reach, through their SSH connections (`remote.md` §9)."""
