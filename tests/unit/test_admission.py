"""When polling pauses because Redis has no room, or would drop what it holds."""

import pytest

from worker.core.admission import PAUSE_AT, RESUME_BELOW, Room, full, unsafe

LIMIT = 1_000


def _room(used: int, limit: int = LIMIT, policy: str = "noeviction") -> Room:
    return Room(used_bytes=used, limit_bytes=limit, policy=policy)


@pytest.mark.parametrize(
    ("used", "paused", "pauses"),
    [(799, False, False), (800, False, True), (799, True, True), (750, True, True), (749, True, False)],
)  # fmt: skip
def test_full_when_the_share_moves_then_there_is_a_gap_between_pause_and_resume(
    used: int, *, paused: bool, pauses: bool
) -> None:
    """It pauses at four fifths, and goes on only below three quarters."""
    assert bool(full(_room(used), paused=paused)) is pauses
    assert (PAUSE_AT, RESUME_BELOW) == (0.8, 0.75)


def test_full_when_there_is_no_limit_then_never() -> None:
    """Without maxmemory Redis takes what the machine has."""
    assert full(_room(10**12, limit=0)) == ""


def test_full_says_how_full_and_what_helps() -> None:
    """The message is what an operator reads in the log, in `status` and in the health answer."""
    told = full(_room(900))
    assert "90%" in told
    assert "raise maxmemory" in told


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_unsafe_when_the_server_evicts_then_says_what_mends_it(policy: str) -> None:
    """However empty it is."""
    assert policy in unsafe(_room(0, policy=policy))
    assert "CONFIG SET maxmemory-policy noeviction" in unsafe(_room(0, policy=policy))
    assert unsafe(_room(999)) == ""
