"""The tasks: one file a family. Nothing here is imported before an environment is made."""
