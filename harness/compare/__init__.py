"""`harness compare`: two runs side by side; what differs, by how much, and how surely. Nothing is decided."""
