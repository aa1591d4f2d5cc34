"""The documents: they speak of the program as it is, their blocks run, their site is built."""
