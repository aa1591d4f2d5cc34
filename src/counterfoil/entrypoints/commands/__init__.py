"""The commands, one room each. They parse, call and print; rules are elsewhere."""
