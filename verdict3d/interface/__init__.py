"""The Python interface: thin over the rooms of the library; ``import verdict3d`` gives its names."""
