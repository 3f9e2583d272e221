"""Hierarchical agents: subgoals from a learned cost of legs, and maps of places never seen before."""
