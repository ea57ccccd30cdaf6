"""A server on a cluster: how other nodes reach it, and what is wrong if they do not (`slurm.md` §13)."""
