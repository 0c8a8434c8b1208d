"""How stages make meshes and adapters: batches, generators, training pictures."""
