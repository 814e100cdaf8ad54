"""`harness board`: a leaderboard of verified runs."""
