"""A mesh file of each format, read safely."""
