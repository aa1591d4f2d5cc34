"""The Python client: `Client` and `AsyncClient`. It shares the wire types with the server, and imports none of its rooms."""
