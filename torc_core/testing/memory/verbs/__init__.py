"""The verbs of a store, a module for each of its protocols."""
