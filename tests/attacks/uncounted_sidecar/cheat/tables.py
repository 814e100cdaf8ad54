"""How bold the scorer is."""

BOLDNESS = 1.2
