"""How stages ask judges: pairs, certificates, questions, preferences."""
