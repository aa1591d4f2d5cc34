"""The clock and the randomness, handed in so that tests and simulation own them. Nothing here is called at import."""

from collections.abc import Callable
from typing import TypeAlias

NowUs: TypeAlias = Callable[[], int]
"""Microseconds since the Unix epoch, by the clock of the process that decides."""

TokenBytes: TypeAlias = Callable[[int], bytes]
"""That many bytes from a cryptographically secure generator."""
