"""JSON ⇄ values, once for server, Lambda and client. It knows the model; no HTTP, no store."""
