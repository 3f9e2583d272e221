"""Limits of receptive fields: within them, everything that is made of a table stays finite and small."""

SMALLEST, LARGEST = 1e-3, 1e5  # pixels: size of a field, and distance from the gaze
MOST = 512  # fields on a ring, and rings
MOST_ALONG = 64  # fields along a side of a grid
