"""The example DAGs that must succeed under a real scheduler and triggerer, with params that keep them short."""

from __future__ import annotations

from typing import Any

EXAMPLES: dict[str, dict[str, Any]] = {
    "visio_photos_to_dashboard": {},
    "visiono_three_steps": {},
    "visiono_fan_out": {},
    "visiono_campaign": {"recipients": 10},
    "vizdom_weekly_export": {},
}

# Of the ten recipients of the campaign, which goes on when eight have answered.
NEVER_ANSWER = ("K-0009", "K-0010")
