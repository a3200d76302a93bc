"""Hosts that do not share their count of calls use what the limit allows, and the service seldom refuses them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import create_measurement, wait_measurement
from benchmarks.contestants import PROVIDER
from benchmarks.create_measurement import PER_HOUR, PER_MINUTE, Plan
from benchmarks.wait_measurement import WarmUp
from dev.sandbox import Sandbox

CREATES, WAITS = 1000, 500
PODS, AT_ONCE = 120, 16


@pytest.fixture(scope="module")
def warm_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmUp]:
    with Sandbox(tmp_path_factory.mktemp("warm")) as sandbox:
        yield WarmUp(sandbox)


def test_three_hosts_in_an_hour(tmp_path: Path, warm_up: WarmUp, result: dict[str, Any]) -> None:
    speed = 10.0
    # The hour's calls are used up after a quarter of it.
    hours = 0.35
    beside = wait_measurement.Plan(PROVIDER, WAITS, speed=speed)
    found = create_measurement.measure(
        Plan(8, CREATES, hours, speed, beside, hosts=2), tmp_path / "run", warm_up
    )
    made = found.creates + found.polls
    result["hosts"].append(
        {
            "what": "two that ask and one that waits, in an hour",
            "asked": found.creates,
            "waits": WAITS,
            "allowed": PER_HOUR,
            "made": made,
            "refused": found.refused,
        }
    )

    assert not found.failed, found.first_failure
    assert made >= 0.9 * PER_HOUR
    assert found.refused <= 3 * len(found.refused_in)


def test_a_pod_for_each_task(tmp_path: Path, warm_up: WarmUp, result: dict[str, Any]) -> None:
    plan = Plan(AT_ONCE, PODS, hours=0.2, speed=10.0, in_pods=True)
    found = create_measurement.measure(plan, tmp_path / "run", warm_up)
    result["hosts"].append(
        {
            "what": f"{PODS} pods of one task each, {AT_ONCE} at once",
            "asked": found.creates,
            "waits": 0,
            "allowed": PER_MINUTE * -(-PODS // PER_MINUTE),
            "made": found.creates + found.polls,
            "refused": found.refused,
        }
    )

    assert not found.failed, found.first_failure
    assert found.creates == PODS
