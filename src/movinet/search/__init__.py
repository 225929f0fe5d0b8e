"""Finding a network for given data and a given budget: TuNAS on the video search space."""
