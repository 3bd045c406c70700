"""The paged index on a real Redis behaves as the simple table that it stands for."""

from collections.abc import Sequence

import msgpack
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.store.scripts import script_text

INCLUDES = "\n".join(script_text(name) for name in ("pages", "insert"))
INSERT = (
    INCLUDES
    + "\nlocal a = cmsgpack.unpack(ARGV[1])\ninsert(KEYS[1], a.hashes, a.id, a.cap, a.today)"
)
LOOK_UP = INCLUDES + (
    "\nlocal a = cmsgpack.unpack(ARGV[1])"
    "\nlocal hits = {}"
    "\nlocal _, order, read = look_up('s', a.hashes, a.today, 12, hits)"
    "\nlocal out = {read}"
    "\nfor _, id in ipairs(order) do out[#out + 1] = id; out[#out + 1] = hits[id] end"
    "\nreturn out"
)
# Few hashes, so that buckets fill; ones that differ in high bits only, so that pages are shared.
HASHES = st.integers(0, 40).map(
    lambda n: (n * 0x9E3779B1 % 2**32 if n % 2 else n << 24).to_bytes(4, "big")
)
TODAY = 65_530  # stamps go round at 65 536
ARTICLES = st.lists(
    st.tuples(st.lists(HASHES, min_size=1, max_size=20, unique=True), st.integers(0, 30)),
    min_size=1,
    max_size=120,
)


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    """A connection to an empty server."""
    return redis.Redis.from_url(redis_url)


def _id(number: int) -> bytes:
    return number.to_bytes(6, "big")


def _insert(
    client: redis.Redis, hashes: Sequence[bytes], id_: bytes, cap: int, today: int = TODAY
) -> None:
    packed = {"hashes": b"".join(hashes), "id": id_, "cap": cap, "today": today}
    client.eval(INSERT, 1, "s", msgpack.packb(packed, use_bin_type=False))


def _look_up(
    client: redis.Redis, hashes: Sequence[bytes], today: int = TODAY
) -> tuple[int, dict[bytes, int]]:
    packed = msgpack.packb({"hashes": b"".join(hashes), "today": today}, use_bin_type=False)
    read, *found = client.eval(LOOK_UP, 0, packed)
    return read, dict(zip(found[::2], found[1::2], strict=True))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(articles=ARTICLES, cap=st.integers(1, 4))
def test_pages_when_filled_then_as_a_table_of_lists(
    client: redis.Redis, articles: list[tuple[list[bytes], int]], cap: int
) -> None:
    """Each bucket holds its newest ids, each once, however pages were split under way."""
    client.flushall()
    table: dict[bytes, list[bytes]] = {}
    for hashes, number in articles:
        _insert(client, hashes, _id(number), cap)
        for bucket in hashes:
            ids = table.setdefault(bucket, [])
            table[bucket] = [_id(number), *(i for i in ids if i != _id(number))][:cap]
    assert int(client.hget("s", "entries") or 0) == sum(map(len, table.values()))
    for bucket, ids in table.items():
        assert _look_up(client, [bucket]) == (len(ids), dict.fromkeys(ids, 1))


def test_pages_when_many_articles_then_grow_one_by_one(client: redis.Redis) -> None:
    """Ten thousand entries lie in pages of 32 on average, none far above, and all are found."""
    buckets = {
        n: [(n * 50 + i).to_bytes(2, "big") + bytes([i, n % 256]) for i in range(50)]
        for n in range(200)
    }
    for number, hashes in buckets.items():
        _insert(client, [_spread(h) for h in hashes], _id(number), 32)
    sizes = [len(page) // 12 for name, page in client.hgetall("s").items() if len(name) == 4]
    assert sum(sizes) == 10_000
    assert len(sizes) == -(-10_000 // 32)
    assert max(sizes) < 32 * 3
    for number, hashes in buckets.items():
        assert _look_up(client, [_spread(h) for h in hashes])[1] == {_id(number): 50}


def _spread(raw: bytes) -> bytes:
    return (int.from_bytes(raw, "big") * 0x9E3779B1 % 2**32).to_bytes(4, "big")


@pytest.mark.parametrize("today", [1_000, TODAY])
def test_pages_when_the_window_is_over_then_entries_are_unseen_and_leave(
    client: redis.Redis, today: int
) -> None:
    """An entry is found for 32 units of time; after that the next writing of its page drops it."""
    bucket = _spread(b"\0\1")
    _insert(client, [bucket], _id(1), 8, today)
    last = (today + 32) % 2**16
    assert _look_up(client, [bucket], last) == (1, {_id(1): 1})
    assert _look_up(client, [bucket], (last + 1) % 2**16) == (0, {})
    assert client.hget("s", "entries") == b"1"
    _insert(client, [bucket], _id(2), 8, (last + 1) % 2**16)
    assert client.hget("s", "entries") == b"1"
    assert _look_up(client, [bucket], (last + 1) % 2**16) == (1, {_id(2): 1})


def test_pages_when_the_same_entry_comes_again_then_nothing_is_written(client: redis.Redis) -> None:
    """An article of a story whose buckets are those of the last one costs no writing of pages."""
    buckets = [_spread(bytes([0, n])) for n in range(20)]
    _insert(client, buckets, _id(1), 8)
    before = client.hgetall("s")
    _insert(client, buckets, _id(1), 8)
    assert client.hgetall("s") == before


def test_pages_when_a_clock_is_ahead_then_its_entries_count_as_new(client: redis.Redis) -> None:
    """Workers' clocks differ by seconds, which may be a unit of time."""
    bucket = _spread(b"\0\1")
    _insert(client, [bucket], _id(1), 8, TODAY + 1)
    assert _look_up(client, [bucket], TODAY) == (1, {_id(1): 1})
