"""Labeled sets as people keep them, read without PyTorch: which videos there are, and which instants make a clip."""
