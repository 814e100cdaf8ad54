"""`harness check`: what can be said of a submission without training it."""
