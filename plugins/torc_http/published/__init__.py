"""The operations of the published contract, a module for each noun (`wire.md` §3)."""
