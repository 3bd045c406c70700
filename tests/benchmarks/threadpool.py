"""The rival of `make bench-fetch`: a pool of threads with requests and feedparser, as many write it.

    python tests/benchmarks/threadpool.py PORT FEEDS

For each line with a number of threads on standard input it asks for all feeds once, with the tags of
the time before, parses what has changed, and prints how many seconds that took. It keeps no books.
"""

import io
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import feedparser
import requests
from feedsite import TAG, address

TIMEOUT_S = 30.0
_own = threading.local()


def _poll(url: str, tags: dict[str, str]) -> None:
    if not hasattr(_own, "session"):
        _own.session = requests.Session()
        _own.session.trust_env = False  # a look for proxies and .netrc at every request
    response = _own.session.get(url, headers={"If-None-Match": tags[url]}, timeout=TIMEOUT_S)
    response.raise_for_status()
    if response.status_code == requests.codes.ok:
        feedparser.parse(io.BytesIO(response.content))
    tags[url] = response.headers["ETag"]


def main() -> None:
    """Poll when told to, until standard input ends."""
    port, count = (int(argument) for argument in sys.argv[1:])
    tags = {address(feed, port): TAG for feed in range(count)}
    for line in sys.stdin:
        started = time.perf_counter()
        with ThreadPoolExecutor(int(line)) as pool:
            list(pool.map(_poll, tags, [tags] * count))
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
