"""A controller trained by gradients through a learned world model."""
