"""What `torc run` and `torc exec` share: from an argument to a finished workflow on this machine."""
