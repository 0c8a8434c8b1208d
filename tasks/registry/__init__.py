"""Versions in MLflow's registry: packaging, verification, promotion, reproduction."""
