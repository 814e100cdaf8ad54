"""`harness audit`: what published record folders really show, read as data and never executed."""
