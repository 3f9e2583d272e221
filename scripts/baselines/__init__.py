"""Usual ways and published models that ours are compared with."""
