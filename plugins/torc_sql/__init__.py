"""Workflows in a SQL database: a library for store plugins, which add the connections and what differs."""
