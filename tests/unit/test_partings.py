"""When a story's exemplars are two stories."""

import numpy as np

from worker.core.partings import parting
from worker.core.salience import DF_BUCKETS, VECTOR, DocumentFrequencies

DF = DocumentFrequencies(np.zeros(DF_BUCKETS, np.uint32), 0)


def _vector(*terms: int) -> bytes:
    return np.array([(term, 1, 200, 0) for term in terms], VECTOR).tobytes()


def _accounts(start: int, count: int, *, shared: int = 12) -> list[bytes]:
    """Return accounts of one event: ``shared`` terms of it in each and eight of their own."""
    common = range(start, start + shared)
    return [
        _vector(*common, *range(start + 100 * i, start + 100 * i + 8)) for i in range(1, count + 1)
    ]


def test_parting_when_two_events_are_mixed_then_the_other_one_goes() -> None:
    """The founder's half stays, in whatever order the others stand."""
    quake, cup = _accounts(1_000, 4), _accounts(9_000, 3)
    assert parting([*quake, *cup], DF) == (4, 5, 6)
    assert parting([quake[0], cup[0], quake[1], cup[1], quake[2], cup[2]], DF) == (1, 3, 5)
    assert parting([*quake[:2], *cup[:2]], DF) == (2, 3)


def test_parting_when_one_event_then_stays_whole() -> None:
    """Accounts of one event share terms, however loosely."""
    assert parting(_accounts(1_000, 8), DF) == ()
    assert parting(_accounts(1_000, 8, shared=3), DF) == ()


def test_parting_when_one_stands_alone_then_stays_whole() -> None:
    """A single odd account proves nothing, and three exemplars have no halves."""
    quake, cup = _accounts(1_000, 4), _accounts(9_000, 2)
    assert parting([*quake, cup[0]], DF) == ()
    assert parting([quake[0], *cup], DF) == ()
    assert parting([], DF) == ()
