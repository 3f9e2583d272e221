"""Tasks of memory: answers depend on what was shown earlier in the episode."""
