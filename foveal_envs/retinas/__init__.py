"""Retinas: each is one table of receptive fields (u, v, size)."""

from .retina import RETINAS, Retina, make_retina

__all__ = ["RETINAS", "Retina", "make_retina"]
