"""A workflow followed to its end: recovered, and given allocations, where the user wants that (`slurm.md` §11)."""
