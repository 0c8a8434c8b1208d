"""Readers of mesh files from untrusted sources, one a format."""
