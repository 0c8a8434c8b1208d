"""The page on which people say which of two meshes is better, without knowing whose they are."""
