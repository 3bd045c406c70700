"""Rows on texts and pages: what one process signs and attaches, what two workers make of pages."""

import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

from bench import (
    LANG,
    ROOT,
    ROUNDS,
    SHARED,
    START_AT,
    Bench,
    Figure,
    background,
    median_rate,
    say,
)
from corpus import real_texts
from trafilatura import extract

from worker.core.entries import feed_id
from worker.core.text import tokens
from worker.decode import page as page_decoder
from worker.model import Feed
from worker.steps.prepare import Prepared, prepare, warm_up
from worker.wiring import Context

HTML = SHARED / "data" / "html"
WORKERS = 2
START_S = 120.0  # until workers are up, on a slow machine
ROUND_S = 300.0
LOOK_S = 0.05  # each look takes time from those who are looked at; a round takes seconds
# The worker as it is, or with the full extractor for every page.
AS_IT_IS = ""
ALWAYS_FULL = "import worker.decode.page as page; page._main_text = page._full_text; "
PROGRAM = "from worker.cli.main import main; main()"
QUIET = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


# --- texts ------------------------------------------------------------------------------------


def text(bench: Bench) -> Mapping[str, Figure]:
    """Everything a text goes through in one process: language, signing, gate, probe, decide, attach."""
    size = bench.sizes.texts
    # Real order, so that words repeat as they do in a stream; the first part warms the caches.
    records = real_texts(background(), (ROUNDS + 1) * size)
    policy = bench.settings.match.policy()
    warm_up([LANG])
    stream = bench.fresh()
    spent = Counter[str]()

    def run(number: int) -> int:
        for at, record in enumerate(records[number * size : (number + 1) * size]):
            started = time.process_time()
            prepared = prepare(record.draft, bench.params, policy)
            signed = time.process_time()
            if isinstance(prepared, Prepared):
                stream.attach(prepared.sketch, at=record.at or START_AT + at)
            spent["sign"] += signed - started
            spent["attach"] += time.process_time() - signed
        return size

    run(0)
    spent.clear()
    rate = median_rate(lambda number: run(number + 1))
    per_ms = {name: 1_000 * seconds / (ROUNDS * size) for name, seconds in spent.items()}
    say(f"text: CPU {per_ms['sign']:.2f} ms to sign, {per_ms['attach']:.2f} ms to attach")
    return {
        "text": Figure(
            ours=rate, theirs=None, unit="articles/s",
            what="sign + probe + decide + attach on real text, one worker process", must="≥ 400",
        )
    }  # fmt: skip


# --- pages ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class GoldPage:
    """A real page and the text that people marked in it."""

    url: str
    body: bytes
    text: str


@cache
def _pages(limit: int | None) -> tuple[GoldPage, ...]:
    with (HTML / "scrapinghub_gold.jsonl").open(encoding="utf-8") as lines:
        labels = [json.loads(line) for line in lines][:limit]
    return tuple(
        GoldPage(
            url=label["url"],
            body=gzip.decompress((SHARED / "data" / f"{label['html']}.gz").read_bytes()),
            text=label["text"],
        )
        for label in labels
    )


def pages(bench: Bench) -> Mapping[str, Figure]:
    """From page to attached: the whole program against trafilatura alone, on two processes each."""
    found = _pages(bench.sizes.pages)
    bare = _bare(found)
    say(f"pages: trafilatura alone {bare:.1f} pages/s")
    full = _attached_rate(bench, found, ALWAYS_FULL)
    fast = _attached_rate(bench, found, AS_IT_IS)
    what = f"page → attached, two workers, {len(found)} real pages on loopback"
    return {
        "pages": Figure(
            ours=full, theirs=bare, unit="pages/s",
            what=f"{what}, full extractor for each, against trafilatura alone on two processes",
            must="ratio ≥ .85",
        ),
        "pages_fast": Figure(
            ours=fast, theirs=full, unit="pages/s",
            what="the same as shipped, fast extractor first, against the row above",
            must="ratio ≥ 1.3",
        ),
    }  # fmt: skip


def pages_f1(bench: Bench) -> Mapping[str, Figure]:
    """What fast extraction costs in quality: mean token F1 against the gold text."""
    found = _pages(bench.sizes.pages)

    def score(extracted: Callable[[GoldPage], str]) -> float:
        return statistics.mean(token_f1(extracted(page), page.text) for page in found)

    def ours(page: GoldPage) -> str:
        return page_decoder.extract_page(page.body, url=page.url).text

    def full(page: GoldPage) -> str:
        return page_decoder._full_text(page_decoder._tree(page.body), page.url)

    return {
        "pages_f1": Figure(
            ours=100 * score(ours), theirs=100 * score(full), unit="token F1, points",
            what="extraction as shipped against the full extractor for every page",
            must="≥ theirs less .5",
        )
    }  # fmt: skip


def token_f1(ours: str, gold: str) -> float:
    """Return the harmonic mean of precision and recall over tokens with their repetitions."""
    left, right = Counter(tokens(ours)), Counter(tokens(gold))
    both = (left & right).total()
    return 2 * both / (left.total() + right.total()) if both else float(not left and not right)


def _bare(found: Sequence[GoldPage]) -> float:
    """Return how many pages a second trafilatura extracts on two warm processes."""
    context = get_context("fork")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        list(pool.map(_extract, [(page.body, page.url) for page in found[: 2 * WORKERS]]))

        def run(_: int) -> int:
            list(pool.map(_extract, [(page.body, page.url) for page in found]))
            return len(found)

        return median_rate(run)


def _extract(page: tuple[bytes, str]) -> int:
    return len(extract(page[0], url=page[1]) or "")


def _attached_rate(bench: Bench, found: Sequence[GoldPage], change: str) -> float:
    """Return the median pages a second from the first page's request to the last one's outcome.

    One round goes before: later workers load the languages that it met at their start, as a worker
    does that is restarted. In a running one that is a second a language, once.
    """
    rates: list[float] = []
    langs: tuple[str, ...] = ()
    for number in range(ROUNDS + 1):
        bench.client.flushall()
        with tempfile.TemporaryDirectory(prefix="samestory-bench-") as folder, ExitStack() as stack:
            site = stack.enter_context(_site(found))
            context = Context(settings=bench.settings, redis_url=bench.redis_url)
            context.check()
            if langs:
                bench.client.sadd(context.keys.langs, *langs)
            for _ in range(WORKERS):
                stack.enter_context(_role(bench, folder, change, "work", "--single"))
            stack.enter_context(_role(bench, folder, change, "poll"))
            _until(lambda context=context: len(_workers(context)) == WORKERS, START_S)
            url = f"{site.address}/feed"
            context.feeds.add(Feed(feed_id=feed_id(url), url=url))
            _until(lambda context=context: _done(context) == len(found), ROUND_S)
            rates.append(len(found) / (time.perf_counter() - site.asked_at))
            langs = context.stories.languages()
        say(f"pages: round {number}: {rates[-1]:.1f} pages/s attached")
    return statistics.median(rates[1:])


def _workers(context: Context) -> set[bytes]:
    return set(context.client.smembers("rq:workers"))


def _done(context: Context) -> int:
    counts = context.ledger.counts()
    return sum(counts.get(name, 0) for name in ("attached", "duplicate", "rejected", "quarantined"))


def _until(condition: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"the page rows did not get on within {timeout_s:.0f} s")
        time.sleep(LOOK_S)


@contextmanager
def _role(bench: Bench, folder: str, change: str, *arguments: str) -> Iterator[None]:
    """Run one role of the program as a process of its own."""
    settings = {
        "REDIS_URL": bench.redis_url,
        "PATHS_VAR": f"{folder}/var",
        "PATHS_ARCHIVE": f"{folder}/archive",
        "FETCH_ALLOW_PRIVATE": "127.0.0.1",
        "FETCH_HOST_GAP_S": "0",
        "LOG_LEVEL": "error",
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SAMESTORY_")}
    given = {f"SAMESTORY_{name}": value for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-c", change + PROGRAM, *arguments],
        env={**kept, **QUIET, "PYTHONPATH": str(ROOT), **given},
        cwd=folder,
        stdin=subprocess.PIPE,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Served:
    """A site with one feed and its pages, which notes when the first page was asked for."""

    def __init__(self, found: Sequence[GoldPage]) -> None:
        served = self
        self.asked_at = 0.0
        pages = {f"/page/{number}": _answer("text/html", p.body) for number, p in enumerate(found)}
        none = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        known = {"/robots.txt": none, **pages}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path in pages and not served.asked_at:
                    served.asked_at = time.perf_counter()
                self.wfile.write(known.get(self.path, served.feed))

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        items = (
            f"<item><guid>{path}</guid><link>{self.address}{path}</link><title></title></item>"
            for path in pages
        )
        head = '<rss version="2.0"><channel><title>Pages</title>'
        document = "".join(chain([head], items, ["</channel></rss>"]))
        self.feed = _answer("application/rss+xml", document.encode())


def _answer(kind: str, body: bytes) -> bytes:
    """Return a whole response, made before the clock starts: the site shares the cores."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def _site(found: Sequence[GoldPage]) -> Iterator[_Served]:
    served = _Served(found)
    thread = threading.Thread(target=served.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield served
    finally:
        served.server.shutdown()
        thread.join()
        served.server.server_close()


def missing() -> Path | None:
    """Return what of the shared data is not there."""
    needed = (background(), HTML / "scrapinghub_gold.jsonl")
    return next((path for path in needed if not path.is_file()), None)
