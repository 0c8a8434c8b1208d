"""Promotion and reproduction as flows."""
