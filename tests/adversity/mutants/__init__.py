"""Mutants of the rooms that hold the promises: small changes of the code, each of which some test must notice."""
