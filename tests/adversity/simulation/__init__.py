"""Deterministic simulation: the real rules and the real api room in a world of which every step is drawn from one seed."""
