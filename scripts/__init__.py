"""Commands: run them as `python -m scripts.train` and so on; each lists its options with `--help`."""
