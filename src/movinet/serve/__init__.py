"""`movinet serve`: pictures and cameras in, predictions and events out. Needs the extra `serve`."""
