"""How stages make meshes and adapters: batches, networks, training pictures."""
