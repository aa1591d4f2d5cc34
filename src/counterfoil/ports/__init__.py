"""What the core needs of the world, as Protocols at the height of domain verbs. The docstrings are the contract."""
