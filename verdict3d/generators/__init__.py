"""Generators of meshes behind one interface: ours, and those that are not."""
