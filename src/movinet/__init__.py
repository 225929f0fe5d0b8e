"""Streaming video recognition with MoViNets."""
