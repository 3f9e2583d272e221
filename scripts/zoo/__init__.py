"""The zoo: one trained agent for every id, each a run folder without optimizers; ``card.json`` says what it reached."""
