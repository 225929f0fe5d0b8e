"""Named weights with all that is needed to use them, and importers for other people's files."""
