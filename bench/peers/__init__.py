"""What is measured side by side: this service and its variants, the bare server, and what would be written or bought instead."""
