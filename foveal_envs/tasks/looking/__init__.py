"""Tasks of looking: find, track, search, name and compare with a steerable fovea."""
