"""What followed which context, counted fast: see native/counts.py, and native/ngram.h for the contract."""
