"""Universal value functions of states and goals."""
