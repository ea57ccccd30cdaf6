"""Slurm's commands: asked sparingly, read with care."""
