"""One command of `harness` a module; loaded by name when it is asked for."""
