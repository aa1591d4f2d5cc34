"""Where credentials are kept: one private file. Secrets are stored as digests only."""
