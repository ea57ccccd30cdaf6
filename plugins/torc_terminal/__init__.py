"""A library for command plugins: how options look, how workflows are chosen, and how answers are printed. No hooks."""
