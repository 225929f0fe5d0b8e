"""Live sources one can rely on: read apart, watched over, found again, never behind."""
