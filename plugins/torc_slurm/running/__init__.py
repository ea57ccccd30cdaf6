"""The runner inside of an allocation: what it has, until when, and how it reaches all of its nodes."""
