"""What goes over the wire: schemas, and how records become bodies and bodies become records."""
