"""Win-rates, intervals, agreement."""
