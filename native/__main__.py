"""`python -m native` says whether the counts are compiled here, and ends with status 1 where they are not."""

import sys

from native import counts

print(counts.which())
sys.exit(counts.compiled is None)
