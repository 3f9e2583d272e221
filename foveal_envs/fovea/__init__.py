"""The fovea: its gaze and actuators, what it senses, and the goals that it looks for."""
