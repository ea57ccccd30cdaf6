"""What waits in the server without a thread of its own: turns that are held, and readers of events."""
