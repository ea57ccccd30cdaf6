"""How many allocations of which shape a workflow needs, and when; pure, without any call to Slurm or a store."""
