"""Furniture assets: procedural or from a folder, safe mesh reading, geometry measures."""
