"""HQ-learning: a sequence of reactive agents."""
