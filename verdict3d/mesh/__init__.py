"""Triangle meshes: the type, reading and writing, sampling, measures, damage and finishing."""
