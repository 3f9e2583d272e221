"""Proximal policy optimisation with recurrent cores, and the policies that it trains."""
