"""Rows on the index alone: against datasketch's, at a million articles, skewed, and as time goes by."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import msgpack
import numpy as np
import redis
from bench import (
    LANG,
    ROUNDS,
    START_AT,
    Bench,
    Figure,
    Stream,
    median_rate,
    numbered,
    percentile,
    say,
)
from datasketch import MinHash, MinHashLSH
from filling import Filler, decided_by_lot

from worker.core.signatures import band_buckets
from worker.model import (
    Article,
    EntryId,
    NewStory,
    Sketch,
)
from worker.steps.attach import membership_of
from worker.store.index import stamp
from worker.store.packed import TEXT_WIDTH, text_record
from worker.store.scripts import script_text

EVENTS_KEPT = 100_000
STEPS = 4  # in which a window of virtual time passes


# --- against datasketch -----------------------------------------------------------------------


class CopyIndex:
    """The copy level by itself, out of the parts that the scripts probe and attach include."""

    def __init__(self, bench: Bench) -> None:
        parts = "\n".join(map(script_text, ("pages", "insert", "texts")))
        self._client = bench.client
        self._probe = bench.client.script_load(parts + _PROBE)
        self._attach = bench.client.script_load(parts + _ATTACH)
        self._params = bench.params

    def put(self, sketch: Sketch, article: Article) -> int:
        """Probe for a signature, attach it, and return 1."""
        bands = band_buckets(sketch.signature, self._params)
        today = stamp(article.at, self._params) % 2**16
        self._run(self._probe, bands=bands, today=today, width=TEXT_WIDTH)
        record = text_record(article, sketch)
        ttl = int(self._params.window_s)
        cap = self._params.bucket_cap
        self._run(self._attach, bands=bands, today=today, text=record, ttl=ttl, cap=cap)
        return 1

    def _run(self, script: str, **arguments: object) -> None:
        packed = msgpack.packb(arguments, use_bin_type=False)
        self._client.evalsha(script, 1, "{live:en}:seq", packed)


_PROBE = """
local a, found = cmsgpack.unpack(ARGV[1]), {}
local _, ids = look_up('{live:en}:c', a.bands, a.today, HEAD + 4)
for i = 1, math.min(#ids, 32) do
  found[i] = read_text('{live:en}:', struct.unpack('>I4', ids[i]), a.width)
end
return cmsgpack.pack(found)
"""
_ATTACH = """
local a = cmsgpack.unpack(ARGV[1])
local number = redis.call('INCR', KEYS[1])
keep_text('{live:en}:', number, a.text, a.ttl)
insert('{live:en}:c', a.bands, pack('>I4', number), a.cap, a.today)
redis.call('EXPIRE', '{live:en}:c', a.ttl)
return number
"""


def index(bench: Bench) -> Mapping[str, Figure]:
    """Probe + attach of a copy signature against datasketch's insert + query, one client each."""
    load, ops = bench.sizes.index_load, bench.sizes.index_ops
    sketches = list(islice(bench.corpus.sketches(), load + ROUNDS * ops))
    copies = [_copy_level(sketch) for sketch in sketches]

    alone = CopyIndex(bench)
    bench.fresh()
    ours = _rate(lambda i: alone.put(copies[i], numbered(i, START_AT + i)), load, ops)
    stream = bench.fresh()
    whole = _rate(lambda i: _open(stream, copies[i], i), load, ops)
    theirs = _datasketch(bench, [_minhash(sketch) for sketch in sketches], load, ops)
    return {
        "index": Figure(
            ours=ours, theirs=theirs, unit="articles/s",
            what="copy index alone: probe + attach, against datasketch MinHashLSH on the same Redis",
            must="ratio ≥ 15",
        ),
        "index_whole": Figure(
            ours=whole, theirs=theirs, unit="articles/s",
            what="the same with article, story, event and race check, as a worker attaches",
        ),
    }  # fmt: skip


def _rate(put: Callable[[int], int], load: int, ops: int) -> float:
    """Return the articles a second after so many."""
    for i in range(load):
        put(i)
    return median_rate(lambda n: sum(map(put, range(load + n * ops, load + (n + 1) * ops))))


def _datasketch(bench: Bench, hashes: Sequence[MinHash], load: int, ops: int) -> float:
    """Return the articles a second of datasketch, and note the bytes that one takes."""
    bench.client.flushall()
    before = bench.memory()
    params = (bench.params.copy_bands, bench.params.copy_rows)
    storage = {
        "type": "redis",
        "basename": b"bench",
        "redis": {"unix_socket_path": bench.client.connection_pool.connection_kwargs["path"]},
    }
    lsh = MinHashLSH(num_perm=bench.params.num_perm, params=params, storage_config=storage)
    for at, minhash in enumerate(hashes[:load]):
        lsh.insert(f"{at:016x}", minhash)
    size = (bench.memory() - before) / load

    bench.series["datasketch_bytes"] = size

    def put(i: int) -> int:
        lsh.query(hashes[i])
        lsh.insert(f"{i:016x}", hashes[i])
        return 1

    return median_rate(lambda n: sum(map(put, range(load + n * ops, load + (n + 1) * ops))))


def _copy_level(sketch: Sketch) -> Sketch:
    """Return a sketch without its story level."""
    return replace(sketch, slots=b"", vector=b"", words=())


def _minhash(sketch: Sketch) -> MinHash:
    values = np.frombuffer(sketch.signature, "<u4")
    return MinHash(num_perm=len(values), hashvalues=values, scheme="affine32")


def _open(stream: Stream, sketch: Sketch, number: int) -> int:
    """Probe, and attach as a new story, without deciding; return 1."""
    article = numbered(number, START_AT + number)
    at, entry_id = article.at, EntryId(article.article_id)
    probe = stream.index.probe(LANG, sketch, now=at)
    membership = membership_of(article, sketch, probe, NewStory(score=0.0), 0)
    stream.index.attach(article, sketch, membership, seq=probe.seq, now=at, entry_id=entry_id)
    return 1


# --- growth -----------------------------------------------------------------------------------


def growth(bench: Bench) -> Mapping[str, Figure]:
    """Fill one window with articles; look at bytes and latency at several sizes on the way."""
    sizes, points = bench.sizes, []
    step_s = bench.params.window_s / sizes.growth[-1]
    sketches = bench.corpus.sketches()
    stream = bench.fresh()
    before, started = bench.memory(), time.monotonic()
    looked_at = ROUNDS * sizes.tail
    with decided_by_lot() as lot:
        filler = Filler(stream, lot)
        for number, sketch in enumerate(islice(sketches, sizes.growth[-1]), start=1):
            ahead = next(size for size in sizes.growth if size >= number) - number
            how = stream if ahead < looked_at else filler
            how.attach(sketch, at=START_AT + number * step_s)
            if not ahead:
                points.append(_point(bench, stream, before))
                say(f"{number} articles after {time.monotonic() - started:.0f} s: {points[-1]}")
                bench.client.slowlog_reset()
    bench.series["growth"] = points
    return figures_of(bench, points)


def figures_of(bench: Bench, points: Sequence[Mapping[str, float]]) -> Mapping[str, Figure]:
    """Return the rows that the sizes looked at tell: the last one against the first."""
    first, last = points[0], points[-1]
    theirs = bench.series.get("datasketch_bytes", 9_400.0)
    count = f"{last['articles']:,} articles".replace(",", " ")
    small = f"{first['articles']:,}".replace(",", " ")
    return {
        "bytes_copy": Figure(
            ours=last["copy_bytes"], theirs=theirs, unit="bytes/article",
            what=f"Redis, copy index alone, at {count}, against datasketch's", must="≤ 800",
        ),
        "bytes_all": Figure(
            ours=last["bytes"], theirs=theirs, unit="bytes/article",
            what=f"Redis, everything but text, at {count}, against datasketch's index alone",
            must="≤ 2 000",
        ),
        "latency_p50": Figure(
            ours=last["p50_ms"], theirs=first["p50_ms"], unit="ms",
            what=f"probe + attach at {count}, against the same at {small}", must="≤ 1",
        ),
        "latency_p99": Figure(
            ours=last["p99_ms"], theirs=first["p99_ms"], unit="ms",
            what=f"probe + attach at {count}, against the same at {small}", must="≤ 5, ratio ≤ 1.5",
        ),
        "lua": Figure(
            ours=max(point["longest_ms"] for point in points), theirs=None, unit="ms",
            what="longest script call inside Redis while filling", must="< 5",
        ),
    }  # fmt: skip


def _point(bench: Bench, stream: Stream, before: int) -> dict[str, float]:
    latencies = stream.latencies(min(ROUNDS * bench.sizes.tail, stream.count))
    return {
        "articles": stream.count,
        "bytes": (bench.memory() - before) / stream.count,
        "copy_bytes": sum(
            _key_bytes(bench.client, f"{{live:{LANG}}}:{name}") for name in ("c", "texts:*")
        )
        / stream.count,
        "p50_ms": percentile(latencies, 50),
        "p99_ms": percentile(latencies, 99),
        "longest_ms": bench.longest_call_ms(),
    }


def _key_bytes(client: redis.Redis, pattern: str) -> int:
    """Return what the keys of a pattern take, by MEMORY USAGE with every element counted."""
    keys = list(client.scan_iter(match=pattern, count=1_000))
    total = 0
    for start in range(0, len(keys), 500):
        pipe = client.pipeline(transaction=False)
        for key in keys[start : start + 500]:
            pipe.memory_usage(key, samples=0)
        total += sum(int(size or 0) for size in pipe.execute())
    return total


# --- skew -------------------------------------------------------------------------------------


def skew(bench: Bench) -> Mapping[str, Figure]:
    """Latency when much is alike: a common bucket, identical copies, one huge story."""
    sizes = bench.sizes
    sketches = bench.corpus.sketches()
    third = next(sketches)
    same = next(sketches)
    plain = list(islice(sketches, sizes.skewed))

    def common(number: int) -> Sketch:
        """Every third article shares a band and four slots with all others of its kind."""
        sketch = plain[number]
        if number % 3:
            return sketch
        band = 4 * bench.params.copy_rows
        return replace(
            sketch,
            signature=third.signature[:band] + sketch.signature[band:],
            slots=third.slots[:16] + sketch.slots[16:],
        )

    def of_one_story(number: int) -> Sketch:
        """Texts of their own, all about the same."""
        sketch = plain[number % len(plain)]
        return replace(
            sketch,
            slots=same.slots[:192] + sketch.slots[192:],
            vector=same.vector,
            words=same.words,
        )

    base, base_lua = _run(bench, "plain", plain.__getitem__, sizes.skewed, by_lot=True)
    rows = {}
    for name, what, make, count, by_lot in (
        ("skew_bucket", "a bucket that a third of all articles hit", common, sizes.skewed, True),
        ("skew_copies", f"{sizes.copies} identical copies", lambda _: same, sizes.copies, False),
        ("skew_story", f"one story of {sizes.story} articles", of_one_story, sizes.story, False),
    ):
        p99, longest = _run(bench, name, make, count, by_lot=by_lot)
        rows[name] = Figure(
            ours=p99, theirs=base, unit="ms",
            what=f"probe + attach p99 with {what}, against {sizes.skewed} plain articles",
            must="≤ 5, ratio ≤ 1.5",
        )  # fmt: skip
        rows[f"{name}_lua"] = Figure(
            ours=longest, theirs=base_lua, unit="ms",
            what=f"longest script call with {what}", must="< 5",
        )  # fmt: skip
    return rows


def _run(
    bench: Bench, name: str, make: Callable[[int], Sketch], count: int, *, by_lot: bool
) -> tuple[float, float]:
    """Attach so many articles; return the p99 of the last ones and the longest script call."""
    say(f"skew: {name}, {count} articles")
    stream = bench.fresh()
    step_s = bench.params.window_s / count
    with decided_by_lot() if by_lot else _as_ever():
        for number in range(count):
            stream.attach(make(number), at=START_AT + number * step_s)
    tail = min(ROUNDS * bench.sizes.tail, count)
    return percentile(stream.latencies(tail), 99), bench.longest_call_ms()


@contextmanager
def _as_ever() -> Iterator[None]:
    yield


# --- time -------------------------------------------------------------------------------------


def windows(bench: Bench) -> Mapping[str, Figure]:
    """Memory over three windows of virtual time, after two that fill the index.

    Redis's own clock does not follow ours, so after each step of virtual time the rest of every
    key's life is shortened by that step: what would have expired, expires. Stories are kept for
    one window here, and the stream of events, which keeps a number and not a time, is full from
    the beginning, so that all there is must come to a level.
    """
    size = bench.sizes.window
    days = bench.settings.index.window_days
    stream = bench.fresh(**{"ledger.retention_days": days})
    _fill_events(bench.client)
    sketches = bench.corpus.sketches()
    step_s = bench.params.window_s / STEPS
    levels = []
    number = 0
    with decided_by_lot():
        for step in range(5 * STEPS):
            for sketch in islice(sketches, size // STEPS):
                at = START_AT + step * step_s + (number % (size // STEPS)) * step_s * STEPS / size
                stream.attach(sketch, at=at)
                number += 1
            _pass(bench.client, step_s)
            levels.append(bench.memory())
    bench.series["windows"] = levels
    means = [statistics.mean(levels[n * STEPS : (n + 1) * STEPS]) for n in range(2, 5)]
    worst = max(abs(mean / means[0] - 1) for mean in means)
    return {
        "memory_flat": Figure(
            ours=100 * worst, theirs=None, unit="%",
            what="memory over three windows of virtual time: furthest mean of a window from the first's",
            must="≤ 2",
        )
    }  # fmt: skip


def _fill_events(client: redis.Redis) -> None:
    """Put as many events into the stream as worker/store/lua/events.lua keeps."""
    event = {"type": "article_attached", "story": f"{LANG}-0123456789ab", "article": "0" * 16,
             "original": "", "at": str(START_AT)}  # fmt: skip
    for _ in range(EVENTS_KEPT // 1_000):
        with client.pipeline(transaction=False) as pipe:
            for _ in range(1_000):
                pipe.xadd(f"{{live:{LANG}}}:events", event)  # type: ignore[arg-type]
            pipe.execute()


def _pass(client: redis.Redis, seconds: float) -> None:
    """Let time pass for every key that expires."""
    keys = list(client.scan_iter(count=1_000))
    for start in range(0, len(keys), 1_000):
        some = keys[start : start + 1_000]
        pipe = client.pipeline(transaction=False)
        for key in some:
            pipe.pttl(key)
        lives = pipe.execute()
        for key, life in zip(some, lives, strict=True):
            if life > 0:
                pipe.pexpire(key, max(1, int(life - 1_000 * seconds)))
        pipe.execute()
    time.sleep(0.2)  # what has a millisecond left goes now, as soon as it is looked at
    for _ in client.scan_iter(count=1_000):
        pass
