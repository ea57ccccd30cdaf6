"""The other side of the wire: a store that lives behind a server."""
