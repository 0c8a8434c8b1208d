"""The chain on a schedule, and the servers it needs."""
