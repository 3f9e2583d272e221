"""Evolved controllers, and the world model of Ha & Schmidhuber (2018) in which they may evolve."""
