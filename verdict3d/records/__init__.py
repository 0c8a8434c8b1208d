"""The records that pass between stages, and how they lie on disk."""
