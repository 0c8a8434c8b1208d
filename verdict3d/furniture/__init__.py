"""Procedural furniture: the default assets."""
