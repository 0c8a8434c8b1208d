"""Every pair of a run: an index of them, a list with filters, and a page for each, served or as files."""
