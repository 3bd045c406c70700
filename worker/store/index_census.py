"""Goes through the index of a namespace for the audit: does it offer what is not there?

An index is read page by page. What is older than the window no probe sees, and is passed over here.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import redis

from worker.model import IndexParams
from worker.store.census import Flaw
from worker.store.client import store_errors
from worker.store.index import AGES, slack_s, stamp
from worker.store.keys import Keys
from worker.store.packed import TEXT_WIDTH
from worker.store.scripts import Scripts

# Pages read in one go: some 80 kB, a fraction of a millisecond of Redis's time.
PAGES = 200
READ = 500  # keys asked for in one go
LEVELS = {"c": 4, "s": 6}  # bytes of an id: of an article's number, of a story
HEAD_BYTES, NAME_BYTES = 6, 4  # worker/store/lua/pages.lua
CHUNK = 8_100  # bytes of texts in one key, as in worker/store/lua/texts.lua


class IndexCensus:
    """The index of one namespace, gone through."""

    def __init__(self, client: redis.Redis, keys: Keys, params: IndexParams) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._keys = keys
        self._params = params

    def check(self, lang: str, *, mend: bool) -> Iterator[Flaw]:
        """Yield the ids that probes are offered although nothing is behind them.

        Cost: O(index), some 80 MB read for 100 000 articles in the window.
        """
        prefix = self._keys.lang_prefix(lang)
        for level, width in LEVELS.items():
            today = self._today(prefix, level)
            known: set[int] = set()  # ids that lead somewhere
            for pages in self._pages(prefix + level):
                new = [i for i in _offered(pages.values(), width, today) if i not in known]
                lead = self._lead(prefix, lang, level, new)
                known.update(i for i, leads in zip(new, lead, strict=True) if leads)
                if all(lead):
                    continue
                for name, page in pages.items():
                    ids = [i for i in _offered([page], width, today) if i not in known]
                    if ids:
                        raw = [i.to_bytes(width, "big") for i in ids]
                        yield from self._swept(lang, level, name, raw, today=today, mend=mend)

    @store_errors()
    def _today(self, prefix: str, level: str) -> int:
        """Return the stamp of now by the clock of the attaches, which in a replay is not ours.

        It goes on from the last attach, which the end of the index's own key tells of.
        """
        with self._client.pipeline(transaction=True) as pipe:
            pipe.zrange(prefix + "stories", -1, -1, withscores=True)
            pipe.pttl(prefix + level)
            newest, left_ms = pipe.execute()
        last = newest[0][1] if newest else 0.0
        ttl = int(self._params.window_s) + slack_s(self._params.window_s)
        since = max(0.0, ttl - left_ms / 1_000)
        return stamp(last + since, self._params) % 2**16

    def _pages(self, key: str) -> Iterator[dict[bytes, bytes]]:
        """Yield the pages of a level by name, some at a time."""
        cursor, is_first = 0, True
        while is_first or cursor:
            is_first = False
            with store_errors():
                cursor, found = self._client.hscan(key, cursor, count=PAGES)
            # The other fields say how many pages and entries there are.
            yield {name: page for name, page in found.items() if len(name) == NAME_BYTES}

    def _lead(self, prefix: str, lang: str, level: str, ids: Sequence[int]) -> list[bool]:
        """Return which ids lead to a story, or to an article."""
        if level == "s":
            return self._exist([f"{prefix}story:{lang}-{i:012x}" for i in ids])
        articles = self._articles(prefix, ids)
        there = iter(self._exist([f"{prefix}article:{raw.hex()}" for raw in articles if raw]))
        return [bool(raw) and next(there) for raw in articles]

    @store_errors()
    def _articles(self, prefix: str, numbers: Sequence[int]) -> list[bytes]:
        """Return the raw ids of the articles of these numbers, empty where no text is kept."""
        each = CHUNK // TEXT_WIDTH
        found: list[bytes] = []
        for at in range(0, len(numbers), READ):
            with self._client.pipeline(transaction=False) as pipe:
                for number in numbers[at : at + READ]:
                    start = number % each * TEXT_WIDTH
                    pipe.getrange(f"{prefix}texts:{number // each}", start, start + 7)
                found += pipe.execute()
        return found

    @store_errors()
    def _exist(self, keys: Sequence[str]) -> list[bool]:
        found: list[bool] = []
        for at in range(0, len(keys), READ):
            with self._client.pipeline(transaction=False) as pipe:
                for key in keys[at : at + READ]:
                    pipe.exists(key)
                found += map(bool, pipe.execute())
        return found

    def _swept(
        self, lang: str, level: str, page: bytes, ids: Sequence[bytes], *, today: int, mend: bool
    ) -> Iterator[Flaw]:
        prefix = self._keys.lang_prefix(lang)
        found = self._scripts.run(
            "sweep",
            [prefix + level],
            {
                "prefix": prefix,
                "lang": lang,
                "page": page,
                "ids": ids,
                "today": today,
                "text_width": TEXT_WIDTH,
                "mend": mend,
            },
        )
        for raw in found:
            if level == "s":
                yield Flaw(kind="offers_no_story", subject=f"{lang}-{raw.hex()}", mended=mend)
            else:
                number = int.from_bytes(raw, "big")
                yield Flaw(kind="offers_no_text", subject=lang, figures=(number,), mended=mend)


def _offered(pages: Iterable[bytes], width: int, today: int) -> list[int]:
    """Return the ids in pages that are surely inside the window, each once.

    Stamps go round, and those of a worker whose clock is ahead are ahead.
    """
    entry = HEAD_BYTES + width
    whole = b"".join(page[: len(page) // entry * entry] for page in pages)
    rows = np.frombuffer(whole, np.uint8).reshape(-1, entry).astype(np.int64)
    ages = today - rows[:, HEAD_BYTES - 2] * 2**8 - rows[:, HEAD_BYTES - 1]
    seen = rows[(ages + 2**15) % 2**16 - 2**15 < AGES, HEAD_BYTES:]
    return [int(i) for i in np.unique(seen @ 2 ** (8 * np.arange(width)[::-1]))]
