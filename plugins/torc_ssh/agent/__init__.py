"""What torc does on a host where it was called over SSH: it looks around, and starts, asks and ends the worker there."""
