"""The version, where a build and every room can read it without importing anything."""

__version__ = "0.1.0"
