"""The reference submission: honest work that is fast."""
