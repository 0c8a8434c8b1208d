"""TRELLIS image-to-3D in plain PyTorch."""
