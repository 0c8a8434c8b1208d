"""Commands that never outlive who started them."""
