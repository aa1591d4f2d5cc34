"""Thin shells around the rooms: the HTTP server and the command line."""
