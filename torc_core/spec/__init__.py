"""Text becomes a plan, in small steps."""
