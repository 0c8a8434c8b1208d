"""One run of the chain: what is due, its stages, its results."""
