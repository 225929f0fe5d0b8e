"""Labelled clips, real and synthetic."""
