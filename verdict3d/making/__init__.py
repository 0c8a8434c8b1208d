"""The generators that make meshes: the configured base, and what an arm makes of it."""
