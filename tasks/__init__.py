"""DVC stages, one module each, and what follows them: tracking."""
