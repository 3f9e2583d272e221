"""What cores compute with: compiled loops, chunks, packed sequences, norms and feature maps."""
