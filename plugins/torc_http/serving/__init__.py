"""The transport: sockets, connections, who called, and answers that wait, for any WSGI application."""
