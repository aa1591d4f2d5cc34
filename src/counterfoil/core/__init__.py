"""The rules: issue, validate, revoke, seal a context. It knows ports and model; no HTTP, no SQL, no AWS."""
