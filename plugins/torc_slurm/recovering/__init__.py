"""What failed, why, and what it needs to succeed (`slurm.md` §10)."""
