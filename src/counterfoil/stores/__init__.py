"""Stores, chosen by URL in `open_store`. Each passes tests/contract; none knows the core or another store."""
