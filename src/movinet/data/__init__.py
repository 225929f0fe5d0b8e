"""Labeled clips, real and synthetic."""

from movinet.errors import needs_extra

with needs_extra("torch"):
    import torch  # noqa: F401  (of all that this room needs, what is not there most often)
