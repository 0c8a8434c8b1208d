"""What a user asks for one at a time: meshes of photos, comparisons, pictures, examined meshes."""
