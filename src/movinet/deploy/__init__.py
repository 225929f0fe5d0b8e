"""From arrays to what an engine runs: folding, the lowerings, their cache, and the reference that judges them."""
