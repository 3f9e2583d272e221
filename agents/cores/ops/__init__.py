"""What cores are computed with: compiled loops, chunks, packed sequences, norms and feature maps."""
