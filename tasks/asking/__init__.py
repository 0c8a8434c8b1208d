"""What stages ask judges about: the pairs that are compared, the specimens of the controls."""
