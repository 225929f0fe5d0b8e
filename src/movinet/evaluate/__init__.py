"""How good streams are judged: frame by frame, by starts and segments, and by the alarms of their events."""
