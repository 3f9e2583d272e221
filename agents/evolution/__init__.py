"""Controllers found by evolution."""
