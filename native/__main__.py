"""`python -m native` says whether the counts are compiled here."""

from native import counts

if counts.compiled is None:
    print("native: not compiled; counting in plain Python. Install again with a C compiler.")
else:
    print(f"native: compiled, {counts.compiled.__file__}")
