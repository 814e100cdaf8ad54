"""Measurements, printed as tables: `python -m tests.benchmarks.<name> [--json]`. Never timed tests."""
