"""Commands that never outlive the run, and the run's lock."""
