"""The kit for plugin authors: fixtures, contracts, plans."""
