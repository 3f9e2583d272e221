"""The tasks, a folder a family. None of them is imported before an environment is made."""
