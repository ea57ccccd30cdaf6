"""Allocations: written down, submitted, followed, called off."""
