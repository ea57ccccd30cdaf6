"""The rules of torc: pure functions from records to decisions."""
