"""Values of the domain: checked once by a named constructor, trusted inside. No I/O, no clock, standard library only."""
