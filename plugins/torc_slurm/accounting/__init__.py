"""What allocations and attempts used, as Slurm accounts for it and as torc has measured it (`slurm.md` §15)."""
