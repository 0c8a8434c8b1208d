"""Judges whose weights are loaded here."""
