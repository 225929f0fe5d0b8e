"""What a network is: frozen descriptions and what can be counted from them. Knows no torch."""
