"""The commands of torc about Slurm."""
