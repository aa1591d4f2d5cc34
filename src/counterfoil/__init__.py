"""One-time passcodes for transactions: issued once, bound to context and transaction, redeemed once."""

__version__ = "0.1.0"
