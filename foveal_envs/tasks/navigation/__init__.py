"""Tasks of navigation: rooms, mazes and swamps."""
