"""Bridges to other libraries; each imports its library when it is imported itself, and nothing here imports them."""
