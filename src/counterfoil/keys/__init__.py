"""Key providers, chosen by URL in `open_keys`."""
