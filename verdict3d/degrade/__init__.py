"""Image degradations with graded severities, and the regimes mixed from them."""
