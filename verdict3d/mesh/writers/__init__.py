"""Mesh files, written byte for byte alike."""
