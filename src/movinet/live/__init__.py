"""Any number of live sources recognized as they play: one loop, what it tells, and who is told."""
