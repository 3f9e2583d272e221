"""What there is to see: objects, pictures in banks, sprites, frames, mazes and swamps, and how each is sensed."""
