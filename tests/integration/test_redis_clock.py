"""The clock that everything goes by: Redis's, whatever this machine's own says."""

import time

import pytest

from worker.store.client import connect
from worker.store.clock import RedisClock
from worker.wiring import Context

DAY_S = 86_400.0
NEAR_S = 5.0  # far less than a jump, and more than a slow machine needs between two lines


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S, 3_600.0])
def test_clock_when_this_machines_jumps_then_goes_on_evenly(
    context: Context, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    """Neither a jump nor a machine that starts with a wrong clock moves a lease."""
    real, clock = time.time, RedisClock(context.client)
    assert clock.sync()
    monkeypatch.setattr(time, "time", lambda: real() + jump_s)
    started_wrong = RedisClock(context.client)
    assert abs(started_wrong() - real() - jump_s) < NEAR_S
    assert started_wrong.sync()
    for one in (clock, started_wrong):
        assert abs(one() - real()) < NEAR_S


def test_clock_when_redis_is_away_then_goes_on_from_what_it_had() -> None:
    """A lost server is no reason to stop the time."""
    clock = RedisClock(connect("unix:///nowhere/redis.sock", timeout_s=1.0))
    before = clock()
    assert not clock.sync()
    assert before <= clock() < before + NEAR_S
