"""How the embedded checkpoints are made: the recipe, its data, and the trainings."""
