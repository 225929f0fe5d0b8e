"""Engines that run deployed networks, behind one small protocol, and the pool that batches live streams."""
