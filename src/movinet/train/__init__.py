"""Training: recipes, optimisers, losses and the loop."""
