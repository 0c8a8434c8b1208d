"""The methods, a module each, by their names in ``train.<arm>.method``."""
