"""The loop on a compute node."""
