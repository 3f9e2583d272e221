"""Building blocks of cores: compiled loops, chunks, packed sequences, norms and feature maps."""
