"""One behaviour suite for every store. A new engine is one more line in `engines.ENGINES`."""
