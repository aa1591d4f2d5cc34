"""Campaigns that try to make the service accept twice, late or altered. `make adversity` runs them at full size."""
