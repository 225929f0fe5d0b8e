"""Frames from files and live sources at the rate a model wants, prepared as its weights say."""
