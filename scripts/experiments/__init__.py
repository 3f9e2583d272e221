"""Published results, one module each: TITLE, PARTS, ``jobs(parts, seeds, quick)`` and ``claims(rows)``."""

from __future__ import annotations

EXPERIMENTS = (
    "att1", "search", "ram", "same-different", "memory", "fwp1", "fwp4a", "fwp5", "fwp6", "fwp7", "srwm", "fwm",
    "lstm2", "recall", "state-tracking", "popgym", "ap-gym", "ac90-flipflop", "ac90-pole", "classic-control",
    "curiosity", "plan4", "plan5", "hrl1", "hrl2", "hrl-maze", "uvf15", "hq-maze", "hq-keydoor", "deblurring",
    "worldmodels", "attentionagent", "leaderboard",
)  # fmt: skip
