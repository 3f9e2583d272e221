"""What the agent families share: the learning loop, experience, encoders, losses and checkpoints."""
