"""Published results, one module each: TITLE, PARTS, ``jobs(parts, seeds, quick)`` and ``claims(rows)``."""

from __future__ import annotations

EXPERIMENTS = ("att1", "hq-maze", "hq-keydoor")
