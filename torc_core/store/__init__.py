"""Stores about stores: one in memory, and what other stores are wrapped in."""
