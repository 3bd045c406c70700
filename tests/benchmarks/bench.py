"""What every row of the benchmark shares: data, a server of its own, clocks and the form of a result."""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import redis
from corpus import Recombined, real_texts

from worker.decode.lexicon import prior_for
from worker.embedded import server_program
from worker.model import Article, ArticleId, EntryId, IndexParams, Sketch
from worker.settings import Settings, load_settings
from worker.steps.attach import Attachment
from worker.store.index import Index
from worker.wiring import Context

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
LANG = "en"
START_AT = 1_546_300_800.0  # 1 January 2019; any moment does
ROUNDS = 5  # a figure is the median of so many
SLOW_CALL_US = 500  # calls from here on are in the server's slow log


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row: our figure, what it is held against, and their ratio."""

    ours: float
    theirs: float | None
    unit: str
    what: str
    must: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours by theirs."""
        return self.ours / self.theirs if self.theirs else None


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    growth: Sequence[int]  # articles in the index at which it is looked at, ascending
    sources: int  # articles whose sentences the stream is made of
    index_load: int  # articles in both indexes before they are timed
    index_ops: int  # a round of the index row
    texts: int  # a round of the text row
    window: int  # articles in one window of virtual time
    copies: int
    story: int
    skewed: int
    tail: int  # attaches that a round of a latency looks at
    pages: int | None  # None: all


FULL = Sizes(
    growth=(10_000, 30_000, 100_000, 300_000, 1_000_000), sources=4_000, index_load=5_000,
    index_ops=500, texts=1_000, window=20_000, copies=20_000, story=50_000, skewed=60_000,
    tail=2_000, pages=None,
)  # fmt: skip
QUICK = Sizes(
    growth=(500, 1_000, 2_000), sources=150, index_load=200, index_ops=50, texts=60, window=400,
    copies=300, story=300, skewed=600, tail=50, pages=12,
)  # fmt: skip


@dataclass
class Bench:
    """One run of the benchmark."""

    sizes: Sizes
    client: redis.Redis
    redis_url: str
    series: dict[str, Any] = field(default_factory=dict)  # what pictures are drawn from

    @cached_property
    def settings(self) -> Settings:
        """The defaults."""
        return load_settings()

    @cached_property
    def params(self) -> IndexParams:
        """The sizes of signatures and buckets."""
        return self.settings.index.params()

    @cached_property
    def corpus(self) -> Recombined:
        """The sentences."""
        say(f"signing the sentences of {self.sizes.sources} articles")
        records = real_texts(background(), self.sizes.sources)
        return Recombined(records, self.params, prior_for(LANG))

    def fresh(self, **overrides: object) -> "Stream":
        """Return a stream into an empty index."""
        self.client.flushall()
        self.client.config_set("slowlog-log-slower-than", SLOW_CALL_US)
        self.client.config_set("slowlog-max-len", 4_096)
        self.client.slowlog_reset()
        self.client.config_resetstat()
        settings = load_settings(overrides=[f"{name}={value}" for name, value in overrides.items()])
        return Stream(Context(settings=settings, redis_url=self.redis_url))

    def memory(self) -> int:
        """Return the bytes that the server's data takes."""
        return int(self.client.info("memory")["used_memory"])

    def longest_call_ms(self) -> float:
        """Return how long the longest script call took since ``fresh``, inside the server."""
        calls = self.client.slowlog_get(4_096)
        scripts = (c["duration"] for c in calls if bytes(c["command"]).upper().startswith(b"EVAL"))
        return max(scripts, default=SLOW_CALL_US) / 1_000


class Timed:
    """An index that notes how long each probe and attach took."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.probe_ms: list[float] = []
        self.attach_ms: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def probe(self, *arguments: Any, **named: Any) -> Any:
        """Probe."""
        return _timed(self.probe_ms, self._index.probe, arguments, named)

    def attach(self, *arguments: Any, **named: Any) -> Any:
        """Attach."""
        return _timed(self.attach_ms, self._index.attach, arguments, named)


def _timed(
    into: list[float], act: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]
) -> Any:
    started = time.perf_counter()
    answer = act(*arguments, **named)
    into.append(1_000 * (time.perf_counter() - started))
    return answer


def numbered(number: int, at: float) -> Article:
    """Return the article of a number, of one of 500 outlets."""
    name = ArticleId(f"{(number * 0x9E3779B97F4A7C15 + 1) % 2**64:016x}")
    source = f"outlet{number % 500}.example"
    return Article(
        article_id=name,
        ref=name,
        url=f"https://{source}/{name}",
        source=source,
        title="A headline of about sixty characters stands in this place",
        lang=LANG,
        published_at=at,
        at=at,
        seen_at=at,
    )


class Stream:
    """Attaches sketches one after another, in virtual time."""

    def __init__(self, context: Context) -> None:
        context.check()
        self.context = context
        self.index = Timed(context.index)
        tender = replace(context.attacher.tender, index=self.index)  # type: ignore[arg-type]
        self.attacher = replace(context.attacher, index=self.index, tender=tender)  # type: ignore[arg-type]
        self.count = 0

    def attach(self, sketch: Sketch, *, at: float) -> Attachment:
        """Attach one article that nobody has seen before."""
        article = self.article(at)
        entry_id = EntryId(article.article_id)
        return self.attacher.attach(article, sketch, entry_id=entry_id, now=at)

    def article(self, at: float) -> Article:
        """Return an article that nobody has seen before."""
        self.count += 1
        return numbered(self.count, at)

    def latencies(self, last: int) -> list[float]:
        """Return probe + attach of the newest articles, in milliseconds; races were none."""
        probes, attaches = self.index.probe_ms[-last:], self.index.attach_ms[-last:]
        return [a + b for a, b in zip(probes, attaches, strict=True)]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the median, over rounds, of a percentile of equal parts of a series."""
    parts = np.array_split(np.asarray(values), ROUNDS)
    return statistics.median(float(np.percentile(part, percent)) for part in parts)


def median_rate(act: Callable[[int], int]) -> float:
    """Return the median, over rounds, of what an act does a second; it returns how many it did."""
    rates = []
    for number in range(ROUNDS):
        started = time.perf_counter()
        done = act(number)
        rates.append(done / (time.perf_counter() - started))
    return statistics.median(rates)


def background() -> Path:
    """Return the file that texts come from."""
    return SHARED / "data" / "background" / "abp_33k.jsonl.gz"


def say(line: str) -> None:
    """Tell the one who waits."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


@contextmanager
def server() -> Iterator[str]:
    """Run a Redis without persistence, the system's where there is one; give its address."""
    program = shutil.which("redis-server") or server_program()
    with tempfile.TemporaryDirectory(prefix="samestory-bench-") as folder:
        socket = Path(folder) / "redis.sock"
        process = subprocess.Popen(
            [program, "--port", "0", "--unixsocket", str(socket), "--save", "",
             "--appendonly", "no", "--dir", folder, "--logfile", f"{folder}/redis.log"],
        )  # fmt: skip
        try:
            while not socket.exists():
                if process.poll() is not None:
                    raise SystemExit(f"{program} did not start")
                time.sleep(0.02)
            yield f"unix://{socket}?db=0"
        finally:
            process.terminate()
            process.wait()
