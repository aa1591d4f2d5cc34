"""What Counterfoil costs, in money and time, measured beside what would be written or bought instead."""
