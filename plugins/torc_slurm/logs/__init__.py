"""What Slurm and the nodes wrote about trouble, and whom it hit (`slurm.md` §15.1)."""
