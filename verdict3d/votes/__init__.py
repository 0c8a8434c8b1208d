"""People beside the judges: which pairs they are asked about, what they answer, and what follows from it."""
