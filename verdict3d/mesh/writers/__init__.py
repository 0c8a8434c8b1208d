"""Writers of mesh files: the same mesh gives the same bytes."""
