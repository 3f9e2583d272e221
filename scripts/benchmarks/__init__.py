"""What `scripts.benchmark` measures."""
