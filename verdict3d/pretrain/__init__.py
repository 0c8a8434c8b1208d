"""How the embedded checkpoints are made: data on the fly and training recipes."""
