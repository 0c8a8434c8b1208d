"""DVC stages, one module each; rooms hold what they share and what follows them."""
