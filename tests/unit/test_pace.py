import pytest

from worker.errors import FetchError
from worker.fetch.pace import LEAST_BYTES_PER_S, STRETCH_S, Pace

ENOUGH = int(LEAST_BYTES_PER_S * STRETCH_S)


def _begun(now: float) -> Pace:
    pace = Pace()
    pace.took(1, now)
    return pace


def test_took_when_bytes_drip_then_raises_once_a_stretch_is_over() -> None:
    """Slowness is forgiven for a stretch, not longer."""
    pace = _begun(100.0)
    for second in range(1, int(STRETCH_S)):
        pace.took(1, 100.0 + second)
    with pytest.raises(FetchError, match="at 1 bytes a second") as caught:
        pace.took(1, 100.0 + STRETCH_S)
    assert not caught.value.permanent


def test_took_when_each_stretch_brings_enough_then_goes_on() -> None:
    """A pause within a stretch is no drip, and what comes late may come at once."""
    pace = _begun(0.0)
    for stretch in range(1, 10):
        pace.took(ENOUGH, stretch * STRETCH_S)


def test_took_when_a_fast_start_turns_into_a_drip_then_raises() -> None:
    """What came before does not buy time: a stretch is judged by itself."""
    pace = _begun(0.0)
    pace.took(100 * ENOUGH, STRETCH_S)
    with pytest.raises(FetchError, match="bytes a second"):
        pace.took(ENOUGH - 1, 2 * STRETCH_S)


def test_took_when_a_pause_is_longer_than_a_stretch_then_counts_all_of_it() -> None:
    """A stretch is as long as it lasted until something came."""
    with pytest.raises(FetchError, match="at 500 bytes a second"):
        _begun(0.0).took(ENOUGH, 2 * STRETCH_S)
