"""In-toto statements over runs: made, signed, checked."""
