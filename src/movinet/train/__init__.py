"""Training: recipes, optimizers, losses and the loop."""

from movinet.errors import needs_extra

with needs_extra("train"):
    import torch  # noqa: F401  (of all that this room needs, what is not there most often)
